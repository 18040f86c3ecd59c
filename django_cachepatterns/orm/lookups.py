"""Lookups: entries that point from unique values at a primary key.

A pointer is checked against the row that it leads to, so a wrong one does no harm, and what it
said may be remembered in the process: then a lookup is one round trip. "No such row" cannot be
checked that way; writes mark the lookup values that a row takes on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from django.db.models import CharField, Model

from .. import fields, keys
from ..codecs import Column, kinds
from ..codecs.msgpack import MsgpackCodec
from ..exceptions import StoreUnavailable
from ..metrics.timing import Call
from ..policy import CachePolicy
from ..reader import Reader
from ..sources import Loaded
from ..transactions import wrote
from .columns import compares_exactly
from .loading import load_rows

if TYPE_CHECKING:
    from ..stores import RedisStore
    from .shape import RowShape

REMEMBERED = 10_000
"""Pointers that a process remembers for one lookup."""


class Owner(Protocol):
    """What a lookup needs to know of the rows that it points at."""

    model: type[Model]
    policy: CachePolicy
    store: RedisStore
    shape: RowShape
    name: str
    family: bytes
    alias: str
    fingerprint: bytes
    tag: bytes | None
    version_tags: tuple[bytes, ...]
    pk: Any

    def key_of(self, value: Any) -> Any:
        """A primary key as entries are asked for by."""


class Resolved(NamedTuple):
    """Where a lookup leads: to a primary key, to nothing (`None`), or it cannot be cached."""

    pk: Any = None
    uncacheable: bool = False


class Lookup:
    """One entry of a policy's `lookups`.

    Args:
        rows: the rows that it points at.
        names: its fields.
        connection: the rows' database.
    """

    def __init__(self, rows: Owner, names: Sequence[str], connection: Any) -> None:
        self.fields = [fields.column(rows.model, name) for name in names]
        self.attnames = frozenset(field.attname for field in self.fields)
        self._order = tuple(field.attname for field in self.fields)
        self._rows = rows
        self._remembered: dict[bytes, Any] = {}
        self.plain_type = str if isinstance(self.fields[0], CharField) else None
        self.name, self.policy = rows.name, rows.policy
        said = rows.fingerprint + repr(self._order).encode()
        self.fingerprint = hashlib.blake2b(said, digest_size=8).digest()
        exact = all(compares_exactly(field, connection) for field in self.fields)
        self._tags = rows.version_tags
        absences = keys.table(rows.family) if self._tags else keys.absences(rows.family)
        self.tag = absences if exact else None
        codec = MsgpackCodec([Column("pk", kinds.ANY)])
        self._encode, self._decode = codec.encode, codec.decode
        self._reader: Reader[tuple[Any, ...], Any] = Reader(self, rows.store)

    def arrange(self, values: dict[str, Any]) -> tuple[Any, ...]:
        """The values by attname, in the lookup's order."""
        return tuple(values[name] for name in self._order)

    @property
    def columns(self) -> tuple[str, ...]:
        """The attnames of its fields, in order."""
        return self._order

    @property
    def owner(self) -> Owner:
        """The rows that it points at."""
        return self._rows

    @property
    def reader(self) -> Reader[tuple[Any, ...], Any]:
        """What reads its pointers."""
        return self._reader

    def remembered(self, values: tuple[Any, ...]) -> Any:
        """Where these values led the last time, in this process."""
        return self._remembered.get(self.entry_key(values))

    def forget(self, values: tuple[Any, ...]) -> None:
        """Do not go there again, neither in this process nor in others."""
        key = self.entry_key(values)
        self._remembered.pop(key, None)
        try:
            self._rows.store.drop([key])
        except StoreUnavailable as error:
            self._reader.failed(error)

    def resolve(self, values: tuple[Any, ...], call: Call) -> Resolved:
        """The primary key, from the pointer's entry or the database.

        Args:
            values: in the lookup's order.
            call: what this is a part of.
        """
        key = self.entry_key(values)
        if wrote(self._rows.alias, key):
            return Resolved(uncacheable=True)
        if self._remembered.pop(key, None) is not None:
            # It led astray, so the entry that it came from does, too.
            self.forget(values)
        pk = self._reader.read([values], call).get(values)
        if pk is not None:
            if len(self._remembered) >= REMEMBERED:
                self._remembered.clear()
            self._remembered[key] = pk
        return Resolved(pk)

    def leads_to(self, instance: Model, values: tuple[Any, ...]) -> bool:
        """Whether a row has these values now."""
        for field, value in zip(self.fields, values, strict=True):
            own = instance.__dict__.get(field.attname)
            if own != value and field.get_prep_value(own) != value:
                return False
        return True

    # The source of the pointers, see `sources.Source`

    def entry_key(self, asked: tuple[Any, ...]) -> bytes:
        return keys.lookup(self._rows.family, self._order, asked)

    def tags(self, asked: tuple[Any, ...]) -> tuple[bytes, ...]:
        return self._tags

    def recipe(self, asked: tuple[Any, ...]) -> None:
        return None

    def may_fill(self, asked: tuple[Any, ...]) -> bool:
        return not wrote(self._rows.alias, self.entry_key(asked))

    def load(self, asked: Sequence[tuple[Any, ...]]) -> Loaded:
        shape = self._rows.shape
        values = {}
        publish = True
        for each in asked:
            filters = dict(zip(self._order, each, strict=True))
            rows, fresh = load_rows(self._rows.model, self._rows.alias, filters)
            publish = publish and fresh
            if len(rows) == 1:
                values[each] = self._rows.key_of(
                    shape.value(shape.row(rows[0]), self._rows.pk.attname)
                )
        return Loaded(values, publish)

    def encode(self, value: Any) -> bytes:
        return self._encode([value])

    def decode(self, payload: bytes) -> Any:
        return self._decode(payload)["pk"]
