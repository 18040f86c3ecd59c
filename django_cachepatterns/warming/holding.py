"""The leases of one chunk: taken in one script, and ended in one."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import compress
from typing import NamedTuple

from .. import entry
from ..exceptions import StoreUnavailable
from ..stores import RedisStore
from ..stores.redis import Lot

LEASED, REFRESHED, VALID = b"LRV"
"""Letters of `warm.lua`."""

MOST_BYTES = 1 << 20
"""Bytes that one script stores: few enough for the server to answer in time."""


@dataclass(slots=True)
class Keys:
    """Keys of one source: of rows, or of a lookup.

    Args:
        rows: for each key, the number of its row in the chunk.
        names: the keys.
        fingerprint: of the source.
        tags: the tags that each depends on.
    """

    rows: Sequence[int]
    names: Sequence[bytes]
    fingerprint: bytes
    tags: tuple[bytes, ...]
    states: bytes = b""
    """A letter of `warm.lua` for each."""
    versions: tuple[bytes, ...] = ()

    def held(self) -> Iterator[tuple[int, bytes, int]]:
        """The row, the key and the letter of each that is leased."""
        for row, name, state in zip(self.rows, self.names, self.states, strict=True):
            if state in (LEASED, REFRESHED):
                yield row, name, state


class Made(NamedTuple):
    """A value to be stored. The lifetime is in milliseconds."""

    name: bytes
    letter: int
    data: bytes
    ttl: int


class Holding:
    """Leases on the keys of a chunk.

    Args:
        store: where they are.
        chosen: the keys.
        ttl: of the leases, in milliseconds.
        refresh: whether usable entries are leased, too; they go on being served.
    """

    def __init__(
        self, store: RedisStore, chosen: Sequence[Keys], ttl: int, refresh: bool = False
    ) -> None:
        self._store, self._chosen, self._ttl = store, chosen, ttl
        token = entry.new_token()
        again = entry.refresh_lease(token, int(time.time() * 1000) + ttl) if refresh else b""
        self._refresh = again
        self._leases = {LEASED: entry.lease(token), REFRESHED: again[: 1 + entry.TOKEN_SIZE]}
        self.epoch = entry.NO_EPOCH

    def take(self) -> None:
        """Lease what has no usable entry; before anything is read. Raises `StoreUnavailable`."""
        store, lease = self._store, self._leases[LEASED]
        if store.epoch == entry.NO_EPOCH:
            store.get(lease)  # Connects.
        self.epoch = epoch = store.epoch
        chosen = [keys for keys in self._chosen if keys.names]
        lots = [
            Lot(keys.names, keys.tags, entry.head(entry.VALUE, keys.fingerprint, epoch))
            for keys in chosen
        ]
        fresh = entry.tag(entry.new_token())
        found = store.warm(lots, lease, self._ttl, fresh, self._refresh)
        for keys, (states, tags) in zip(chosen, found, strict=True):
            keys.states, keys.versions = states, tuple(tag[1:] for tag in tags)
        if store.epoch != epoch:
            raise StoreUnavailable("another server answers than before")

    def fill(self, made: Sequence[Made]) -> list[Made]:
        """Store values where the leases still stand. Returns those that were stored."""
        stored: list[Made] = []
        for letter, lease in self._leases.items():
            for some in _in_batches([each for each in made if each.letter == letter]):
                names, _, entries, ttls = zip(*some, strict=True)
                stored += compress(some, self._store.fill(names, lease, entries, ttls))
        return stored

    def release(self, names: Sequence[bytes], letter: int) -> None:
        """Give leases up where they still stand; of a refresh with the value behind it."""
        if names:
            self._store.release(names, self._leases[letter])

    def release_all(self) -> None:
        """Give up what nothing is behind: nobody is to wait for what nobody loads."""
        names = [name for keys in self._chosen for name in keys.names]
        with suppress(StoreUnavailable):  # Then they lapse.
            self.release(names, LEASED)


def _in_batches(made: Sequence[Made]) -> Iterator[Sequence[Made]]:
    start = size = 0
    for at, each in enumerate(made):
        if size + len(each.data) > MOST_BYTES and at > start:
            yield made[start:at]
            start, size = at, 0
        size += len(each.data)
    if start < len(made):
        yield made[start:]
