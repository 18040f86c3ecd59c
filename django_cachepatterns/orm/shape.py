"""The shape of a model's rows in one database: columns, codec, converters, fingerprint."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model, QuerySet

from .. import entry
from ..codecs import Column, codec_for
from .columns import columns_of
from .converters import conversions_of
from .instances import InstanceFactory

Row = dict[str, Any]
"""What the driver gave for each column, by attname, in the order of the columns."""


class UnknownShape(Exception):
    """Django selects other columns than the model says it has (a diamond of parents)."""


class RowShape:
    """How rows of one model are encoded, and made into instances.

    The payload holds what the driver gave, before `from_db_value`, so that a hit converts just
    as a query would.

    Args:
        model: the model, or a proxy of it.
        alias: the database.
        codec: name of the policy's codec.
    """

    def __init__(self, model: type[Model], alias: str, codec: str) -> None:
        connection = connections[alias]
        columns = columns_of(model, connection)
        if _selected(model, alias) != [column.name for column in columns]:
            raise UnknownShape
        self.attnames = tuple(column.name for column in columns)
        self.fingerprint = _fingerprint(model, connection, codec, columns)
        made = codec_for(codec, columns)
        self.decode = made.decode
        self.decode_many = getattr(made, "decode_many", self._decode_each)
        self._encode = made.encode
        self._conversions = conversions_of(model, alias)
        self._make = InstanceFactory(model, self.attnames).make
        self._heads: dict[bytes, bytes] = {}

    def head(self, epoch: bytes) -> bytes:
        """How a usable entry starts while a server's epoch lasts."""
        start = self._heads.get(epoch)
        if start is None:
            start = self._heads[epoch] = entry.head(entry.VALUE, self.fingerprint, epoch)
        return start

    def row(self, values: Iterable[Any]) -> Row:
        """The row of what the driver gave."""
        return dict(zip(self.attnames, values, strict=True))

    def encode(self, row: Row) -> bytes:
        """The payload of a row. Raises `CodecError`."""
        return self._encode(row.values())

    def encode_values(self, values: Sequence[Any]) -> bytes:
        """The payload of what the driver gave. Raises `CodecError`."""
        return self._encode(values)

    def _decode_each(self, payloads: Iterable[bytes]) -> list[Row]:
        """For a codec of a user's that decodes one at a time."""
        return [self.decode(payload) for payload in payloads]

    def instances(self, rows: Collection[Row], alias: str) -> list[Any]:
        """Instances of rows, which they take over.

        Args:
            alias: what the instances say they came from.
        """
        for conversion in self._conversions:
            conversion.apply(rows)
        return self._make(rows, alias)

    def converts(self, name: str) -> bool:
        """Whether a column's values are others than the driver gives."""
        return any(conversion.name == name for conversion in self._conversions)

    def value(self, row: Row, name: str) -> Any:
        """One converted value of a row."""
        value = row[name]
        for conversion in self._conversions:
            if conversion.name == name:
                value = conversion.convert(value)
        return value


def _selected(model: type[Model], alias: str) -> list[str]:
    compiler = QuerySet(model, using=alias).query.get_compiler(using=alias)
    compiler.setup_query()
    return [column.target.attname for column, *_ in compiler.select]


def _fingerprint(
    model: type[Model], connection: BaseDatabaseWrapper, codec: str, columns: list[Column]
) -> bytes:
    concrete = model._meta.concrete_model or model
    fields = [
        (field.attname, field.column, field.db_type(connection), column.kind.name)
        for field, column in zip(concrete._meta.concrete_fields, columns, strict=True)
    ]
    said = repr((concrete._meta.label_lower, entry.FORMAT, codec, fields))
    return hashlib.blake2b(said.encode(), digest_size=8).digest()
