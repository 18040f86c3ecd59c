"""The shape of a model's rows in one database: columns, codec, converters, fingerprint."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from django.db import connections
from django.db.models import Model, QuerySet

from .. import entry
from ..codecs import codec_for
from .columns import columns_of
from .instances import InstanceFactory


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
        self.alias = alias
        self._connection = connections[alias]
        columns = columns_of(model, self._connection)
        self.attnames = tuple(column.name for column in columns)
        made = codec_for(codec, columns)
        self.encode, self.decode = made.encode, made.decode
        self.fingerprint = _fingerprint(model, self._connection, codec, columns)
        self._converters = _converters(model, alias)
        self._instances = InstanceFactory(model, self.attnames)
        self._heads: dict[bytes, bytes] = {}

    def head(self, epoch: bytes) -> bytes:
        """How a usable entry starts while a server's epoch lasts."""
        start = self._heads.get(epoch)
        if start is None:
            start = self._heads[epoch] = entry.head(entry.VALUE, self.fingerprint, epoch)
        return start

    def instance(self, row: Sequence[Any], alias: str) -> Model:
        """An instance of a row's column values. `alias` is what Django would say it came from."""
        if self._converters:
            converted = list(row)
            for at, functions, expression, connection in self._converters:
                value = converted[at]
                for function in functions:
                    value = function(value, expression, connection)
                converted[at] = value
            row = converted
        return self._instances.make(row, alias)

    def value(self, row: Sequence[Any], at: int) -> Any:
        """One converted value of a row."""
        value = row[at]
        for position, functions, expression, connection in self._converters:
            if position == at:
                for function in functions:
                    value = function(value, expression, connection)
        return value


def _converters(model: type[Model], alias: str) -> list[tuple[int, Any, Any, Any]]:
    compiler = QuerySet(model, using=alias).query.get_compiler(using=alias)
    columns = [field.get_col(model._meta.db_table) for field in model._meta.concrete_fields]
    found = compiler.get_converters(columns)
    return [(at, *found[at], connections[alias]) for at in sorted(found)]


def _fingerprint(model: type[Model], connection: Any, codec: str, columns: Sequence[Any]) -> bytes:
    concrete = model._meta.concrete_model or model
    fields = [
        (field.attname, field.column, field.db_type(connection), column.kind.name)
        for field, column in zip(concrete._meta.concrete_fields, columns, strict=True)
    ]
    said = repr((concrete._meta.label_lower, entry.FORMAT, codec, fields))
    return hashlib.blake2b(said.encode(), digest_size=8).digest()
