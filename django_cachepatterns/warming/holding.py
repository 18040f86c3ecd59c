"""The leases of one chunk: taken in one script, and ended in one."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import compress

from .. import entry
from ..exceptions import StoreUnavailable
from ..stores import RedisStore
from ..stores.redis import Lot

LEASED, REFRESHED, VALID = b"LRV"
"""Letters of `warm.lua`."""

LEASED_AT_ONCE = 250
"""Keys that one script leases: few enough not to hold the server up."""
LOT_KEYS, LOT_BYTES = 128, 1 << 18
"""What one script stores at most: little enough to be stored while the next is made."""


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
        lots = [(keys, lot) for keys in self._chosen for lot in _lots(keys, epoch)]
        fresh = entry.tag(entry.new_token())
        found = store.warm([lot for _, lot in lots], lease, self._ttl, fresh, self._refresh)
        for (keys, _), (states, tags) in zip(lots, found, strict=True):
            keys.states += states
            keys.versions = tuple(tag[1:] for tag in tags)
        if store.epoch != epoch:
            raise StoreUnavailable("another server answers than before")

    def stream(self) -> Stream:
        """What takes values, and stores each where its lease still stands."""
        return Stream(self._store, self._leases)

    def settle(self) -> None:
        """Wait until all that was put into streams is done with."""
        self._store.settle()

    def release(self, names: Sequence[bytes], letter: int) -> None:
        """Give leases up where they still stand; of a refresh with the value behind it."""
        if names:
            self._store.release(names, self._leases[letter])

    def release_all(self) -> None:
        """Give up what nothing is behind: nobody is to wait for what nobody loads."""
        names = [name for keys in self._chosen for name in keys.names]
        with suppress(StoreUnavailable):  # Then they lapse.
            self.release(names, LEASED)


def _lots(keys: Keys, epoch: bytes) -> Iterator[Lot]:
    """Keys in parts that the server may do something else between.

    Those with tags are one part: what is stored depends on the tags of one moment.
    """
    size = LEASED_AT_ONCE if not keys.tags else max(len(keys.names), 1)
    head = entry.head(entry.VALUE, keys.fingerprint, epoch)
    for at in range(0, len(keys.names), size):
        yield Lot(keys.names[at : at + size], keys.tags, head)


class Stream:
    """Values on their way to the server: some are stored while the next ones are made.

    Args:
        store: where they go.
        leases: by their letters.
    """

    def __init__(self, store: RedisStore, leases: Mapping[int, bytes]) -> None:
        self._store = store
        self._lots = {letter: _Lot(lease) for letter, lease in leases.items()}
        self.stored = self.bytes = self.refused = 0
        self._error: StoreUnavailable | None = None

    def put(self, name: bytes, letter: int, data: bytes, ttl: int) -> None:
        """Store a value, for `ttl` milliseconds."""
        lot = self._lots[letter]
        lot.names.append(name)
        lot.values += (data, b"%d" % ttl)
        lot.size += len(data)
        if lot.size >= LOT_BYTES or len(lot.names) >= LOT_KEYS:
            self._send(lot)

    def flush(self) -> None:
        """Send what is left."""
        for lot in self._lots.values():
            self._send(lot)

    def check(self) -> None:
        """Raise the `StoreUnavailable` that came in the place of an answer, if one did."""
        if self._error is not None:
            raise self._error

    def _send(self, lot: _Lot) -> None:
        names, values = lot.names, lot.values
        lot.names, lot.values, lot.size = [], [], 0
        if names:
            self._store.post_fill(names, lot.lease, values, partial(self._done, values))

    def _done(self, values: Sequence[bytes], reply: list[int] | StoreUnavailable) -> None:
        if isinstance(reply, StoreUnavailable):
            self._error = reply
            return
        stored = sum(reply)
        self.stored += stored
        self.refused += len(reply) - stored
        self.bytes += sum(map(len, compress(values[::2], reply)))


@dataclass(slots=True)
class _Lot:
    """Values that are sent together."""

    lease: bytes
    names: list[bytes] = field(default_factory=list)
    values: list[bytes] = field(default_factory=list)
    size: int = 0
