"""One chunk: leased, loaded and filled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import Any

from .. import entry, hooks, metrics
from ..exceptions import CodecError
from ..orm.loading import load_rows
from ..orm.rows import CachedRows
from ..transactions import open_writes, uncommitted, wrote
from .chunks import Chunk, columns
from .holding import LEASED, REFRESHED, VALID, Holding, Keys, Stream
from .pointing import LookupKeys, RowKeys
from .reports import Tally

_Make = Callable[[Sequence[Any], int], "tuple[bytes, int] | None"]
"""Makes an entry, and its lifetime in ms, of a loaded row and its number in the chunk; `None` where
it cannot be stored."""
_Encode = Callable[[Any], bytes]


class Filling:
    """Warms chunks of one model's rows.

    Args:
        rows: the model's.
        refresh: whether usable entries are loaded anew, too.
    """

    def __init__(self, rows: CachedRows, refresh: bool = False) -> None:
        names = columns(rows)
        self.rows, self.refresh = rows, refresh
        self.in_row = [rows.shape.attnames.index(name) for name in names]
        self.row_keys = RowKeys(rows)
        self.lookups = [LookupKeys(rows, each, names) for each in rows.lookups.values()]

    def __call__(self, chunk: Chunk) -> Tally:
        """Warm a chunk. Raises `StoreUnavailable` and Django's database errors."""
        size = len(chunk.found)
        if uncommitted():
            # Nothing that this thread reads now may be shown to others.
            return Tally(looked_at=size, busy=size)
        return Tally(looked_at=size) + _Filled(self, chunk).tally()


class _Filled:
    """One chunk on its way."""

    def __init__(self, filling: Filling, chunk: Chunk) -> None:
        self._rows, self._chunk, self._in_row = filling.rows, chunk, filling.in_row
        self._row_keys, self._lookups = filling.row_keys, filling.lookups
        self._keys = filling.row_keys.of(chunk.found)
        self._pointers = [each.of(chunk.found) for each in filling.lookups]
        self._every = (self._keys, *self._pointers)
        ttl = int(filling.rows.policy.lease_ttl * 1000)
        self._holding = Holding(filling.rows.store, self._every, ttl, filling.refresh)
        self._loaded: Mapping[Any, Sequence[Any]] = {}
        self._cost = 0

    def tally(self) -> Tally:
        """Warm it; what came of it."""
        try:
            self._holding.take()
            valid = self._keys.states.count(VALID)
            held = sum(1 for _ in self._keys.held())
            wanted = {number for keys in self._every for number, _, _ in keys.held()}
            done = Tally(valid=valid, busy=len(self._keys.names) - valid - held)
            if not wanted:
                return done
            if not self._load(wanted):
                self._holding.release_all()
                return done + Tally(busy=held)
            return done + self._fill()
        except BaseException:
            self._holding.release_all()
            raise

    def _load(self, wanted: set[int]) -> bool:
        """Read the rows that are leased; whether others may see them."""
        rows, found = self._rows, self._chunk.found
        filters = self._chunk.filters
        asked = [self._row_keys.pk(found[at][0]) for at in sorted(wanted)]
        if len(wanted) * 2 < len(found):
            filters = {"pk__in": asked}
        started = perf_counter()
        with rows.reader.observed(asked, by_key=True):
            loaded, publish = load_rows(rows.model, rows.alias, filters)
        self._cost = int((perf_counter() - started) * 1e6 / max(len(loaded), 1))
        pk_at = self._in_row[0]
        self._loaded = {row[pk_at]: row for row in loaded}
        for hook in hooks.before_fill:
            names = tuple(name for keys in self._every for _, name, _ in keys.held())
            hook(hooks.Loaded(names, publish))
        # Where all are gone, the query has had no row to say it with.
        return publish or not loaded

    def _fill(self) -> Tally:
        """Store what was loaded, with the lookups that lead to it."""
        streams = [self._store(self._keys, self._row())]
        for kind, keys in zip(self._lookups, self._pointers, strict=True):
            streams.append(self._store(keys, self._pointer(kind, keys)))
        self._holding.settle()
        for stream, _, _ in streams:
            stream.check()
            metrics.count(self._rows.name, "fill", stream.stored)
            metrics.count(self._rows.name, "filled_bytes", stream.bytes)
            metrics.count(self._rows.name, "refused_fill", stream.refused)
        (rows, unfit, gone), *pointers = streams
        return Tally(
            filled=rows.stored,
            refused=rows.refused,
            unfit=unfit,
            gone=gone,
            pointers=sum(stream.stored for stream, _, _ in pointers),
            bytes=rows.bytes,
        )

    def _store(self, keys: Keys, make: _Make) -> tuple[Stream, int, int]:
        """Store what is held of one source, and give up what cannot be: it is unfit, or gone."""
        stream = self._holding.stream()
        unused: dict[int, list[bytes]] = {LEASED: [], REFRESHED: []}
        found, loaded = self._chunk.found, self._loaded
        gone = unfit = 0
        for number, name, letter in keys.held():
            row = loaded.get(found[number][0])
            made = None if row is None or self._wrote(name) else make(row, number)
            if made is not None:
                stream.put(name, letter, *made)
                continue
            unused[letter].append(name)
            gone += row is None
            unfit += row is not None
        stream.flush()
        for letter, names in unused.items():
            self._holding.release(names, letter)
        return stream, unfit, gone

    def _wrote(self, name: bytes) -> bool:
        return open_writes.count > 0 and wrote(self._rows.alias, name)

    def _row(self) -> _Make:
        """Makes the entries of rows."""
        rows, keys, pack = self._rows, self._keys, self._packer(self._keys)
        encode, pk_at, pk_of = rows.shape.encode_values, self._in_row[0], self._row_keys.pk

        def make(row: Sequence[Any], number: int) -> tuple[bytes, int] | None:
            made = pack(encode, row)
            if made is None:
                made = self._packed(rows.reader, pk_of(row[pk_at]), rows.shape.row(row), keys)
            return made

        return make

    def _pointer(self, kind: LookupKeys, keys: Keys) -> _Make:
        """Makes the entries of a lookup, for rows that have its values still."""
        lookup, found, in_row, pack = (
            kind.lookup,
            self._chunk.found,
            self._in_row,
            self._packer(keys),
        )

        def make(row: Sequence[Any], number: int) -> tuple[bytes, int] | None:
            before = found[number]
            if any(row[in_row[at]] != before[at] for at in kind.columns):
                return None
            pk = self._row_keys.pk(before[0])
            made = pack(lookup.encode, pk)
            if made is None:
                made = self._packed(lookup.reader, kind.values(before), pk, keys)
            return made

        return make

    def _packer(self, keys: Keys) -> Callable[[_Encode, Any], tuple[bytes, int] | None]:
        """Packs values whose header is always the same; `None` where the reader has to do it."""
        policy, store = self._rows.policy, self._rows.store
        limit = min(policy.max_size or store.largest_entry, store.largest_entry)
        if self._rows.refreshes:
            return lambda encode, value: None  # Each is stale at a time of its own.
        start = entry.pack(
            entry.Header(
                entry.VALUE, keys.fingerprint, self._holding.epoch, 0, self._cost, keys.versions
            )
        )

        def pack(encode: _Encode, value: Any) -> tuple[bytes, int] | None:
            try:
                data = start + encode(value)
            except CodecError:
                return None
            return (data, policy.expires_in()) if len(data) <= limit else None

        return pack

    def _packed(self, reader: Any, asked: Any, value: Any, keys: Keys) -> tuple[bytes, int] | None:
        """An entry as the reader makes it; where it cannot be stored, the reader says why."""
        made: tuple[bytes, int] | None = reader.packed(
            asked, value, self._holding.epoch, keys.versions, self._cost
        )
        return made
