"""The cached result of a query: a list, a count, whether there is any, an aggregate.

Versions of all tables that the query reads hold it together, see `dependencies`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import cache
from time import perf_counter_ns
from typing import Any

from ..codecs import Codec, Column, codec_for, kinds
from ..exceptions import StoreUnavailable
from ..metrics.timing import Call
from ..policy import CachePolicy
from ..reader import Reader
from ..reader.entries import Found
from ..sources import Loaded
from ..stores.base import Store
from ..transactions import open_writes, settle, wrote
from ..transactions.publishing import may_publish
from .statements import Statement

_ASKED = ""
"""There is one result to a query."""


@cache
def _codec(name: str) -> Codec:
    return codec_for(name, [Column("value", kinds.ANY)])


class Result:
    """One query's result, as a `Source`.

    Args:
        name: what it is counted as.
        policy: how it is cached.
        key: its entry's key.
        tags: the keys of the tags that it depends on.
        alias: the database that is written, and so the one that it is loaded from.
        schema: changes with the columns of its tables.
        compute: runs the query, and gives a value that a codec can carry.
    """

    tag: bytes | None = None

    def __init__(
        self,
        name: str,
        policy: CachePolicy,
        key: bytes,
        tags: tuple[bytes, ...],
        alias: str,
        schema: bytes,
        compute: Callable[[], Any],
    ) -> None:
        self.name, self.policy, self.alias = name, policy, alias
        self._key, self._tags, self.compute = key, tags, compute
        codec = _codec(policy.codec)
        self._encode, self._decode = codec.encode, codec.decode
        said = b"result" + policy.codec.encode() + schema
        self.fingerprint = hashlib.blake2b(said, digest_size=8).digest()
        self.statement: Statement | None = None
        self.method: str | None = None
        """What is called on the query, where it is not just evaluated; for people to read."""
        self.loaded: Callable[[bool], object] = lambda publish: None
        """Told that the query was run, before its result is stored, and whether it will be."""

    def entry_key(self, asked: str) -> bytes:
        return self._key

    def tags(self, asked: str) -> tuple[bytes, ...]:
        return self._tags

    def may_fill(self, asked: str) -> bool:
        return not self.is_being_written()

    def is_being_written(self) -> bool:
        """Whether this thread has uncommitted writes to what the result depends on."""
        if not open_writes.count:
            return False
        return any(wrote(self.alias, key) for key in (self._key, *self._tags))

    def load(self, asked: Sequence[str]) -> Loaded:
        value = self.compute()
        publish = may_publish(self.alias)
        self.loaded(publish)
        return Loaded({_ASKED: value}, publish)

    def encode(self, value: Any) -> bytes:
        return self._encode([value])

    def decode(self, payload: bytes) -> Any:
        return self._decode(payload)["value"]

    def recipe(self, asked: str) -> None:
        """A query cannot be told to another process; a thread of this one refreshes it."""


class ResultReader:
    """Reads one result.

    Args:
        result: what is read.
        store: where entries live.
    """

    def __init__(self, result: Result, store: Store) -> None:
        self.result, self.store = result, store
        self._reader: Reader[str, Any] = Reader(result, store)

    def read(self) -> Any:
        """The result, from the cache or the database."""
        return self.read_with(())[0]

    def read_with(
        self, more: Sequence[bytes], call: Call | None = None
    ) -> tuple[Any, list[bytes | None]]:
        """The result, and the entries of some more keys, in one round trip.

        The entries are left out where they are not known to be of the same moment as the result.

        Args:
            more: their keys.
            call: what this is a part of, if it is one.
        """
        settle(self.result.alias)
        began = 0 if call is not None else perf_counter_ns()
        if self.result.is_being_written():
            return self._bypass(call or Call(began)), []
        names = [self.result.entry_key(_ASKED), *dict.fromkeys(self.result.tags(_ASKED))]
        try:
            found = self.store.get_many([*names, *more])
        except StoreUnavailable as error:
            return self._reader.without_cache([_ASKED], error, call, began)[_ASKED], []
        looked, rest = found[: len(names)], found[len(names) :]
        value = self._reader.resume([_ASKED], looked, call, began)[_ASKED]
        # It may have been waited for; while the tags were the same, nothing was written.
        return value, rest if looked[1:] == list(self.seen_tags.values()) else []

    def _bypass(self, call: Call) -> Any:
        """The result, computed without a look at the cache."""
        values = Found(call)
        values.become("bypass", [_ASKED])
        call.loaded = True
        computed = self.result.compute()
        self._reader.note(values, is_call=True)
        return computed

    @property
    def seen_tags(self) -> dict[bytes, bytes | None]:
        """The tags as they were when the result was found."""
        return self._reader.seen_tags

    @property
    def leased_tags(self) -> dict[bytes, bytes]:
        """The tags as they were when the lease was taken under which the query is run now."""
        return self._reader.leased_tags
