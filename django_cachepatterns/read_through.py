"""Read-through: the cache itself loads what it does not hold.

A reader asks for keys; what is missing is loaded under a lease and filled. The caller says how
entries are decoded, loaded and encoded (`Source`), so that rows, lookups and values share this.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from . import entry, hooks, metrics
from .clock import SYSTEM_CLOCK, Clock
from .exceptions import CodecError, StoreUnavailable
from .policy import CachePolicy
from .stampede.lease import is_lease, wait
from .stores.base import Store

logger = logging.getLogger("django_cachepatterns")

Key = TypeVar("Key")
Value = TypeVar("Value")


class Loaded(NamedTuple):
    """What a source loaded: values by asked key, and whether others may see them.

    `publish` is false where the values come from a snapshot or hold uncommitted changes.
    """

    values: Mapping[Any, Any]
    publish: bool


class Source(Protocol[Key, Value]):  # type: ignore[misc]
    """Where the entries of one family come from."""

    name: str
    policy: CachePolicy
    fingerprint: bytes
    tag: bytes | None
    """Key of the tag that negative entries depend on; `None`: absences are not remembered."""

    def entry_key(self, asked: Key) -> bytes:
        """The cache key of what is asked for."""

    def may_fill(self, asked: Key) -> bool:
        """Whether this thread may publish it (it has no uncommitted write to it)."""

    def load(self, asked: Sequence[Key]) -> Loaded:
        """Load from the database, in one query. Absent ones are left out."""

    def encode(self, value: Value) -> bytes:
        """The payload of a value. Raises `CodecError`."""

    def decode(self, payload: bytes) -> Value:
        """The value of a payload. Raises `CodecError`."""


@dataclass(slots=True)
class _Sorted(Generic[Key]):
    """What the entries of some keys say that must be done about them."""

    missing: list[Key]
    useless: list[tuple[Key, bytes]]
    leased: list[Key]
    marked: list[Key]
    negative: list[tuple[Key, bytes]]


class Reader(Generic[Key, Value]):
    """Reads of one source through one store.

    Args:
        source: what is read.
        store: where entries live.
        clock: for the wait on another's lease.
    """

    def __init__(
        self, source: Source[Key, Value], store: Store, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self.source = source
        self.store = store
        self.clock = clock

    def read(self, asked: Sequence[Key]) -> dict[Key, Value]:
        """The values of keys; absent ones are left out. Never raises for the cache's sake."""
        try:
            found = self.store.get_many([self.source.entry_key(key) for key in asked])
        except StoreUnavailable as error:
            return self.without_cache(asked, error)
        return self.resume(asked, found)

    def resume(self, asked: Sequence[Key], found: Sequence[bytes | None]) -> dict[Key, Value]:
        """The same, for entries that were fetched already."""
        values: dict[Key, Value] = {}
        try:
            self._read(asked, found, values)
        except StoreUnavailable as error:
            rest = [key for key in asked if key not in values]
            values.update(self.without_cache(rest, error))
        return {key: value for key, value in values.items() if value is not _ABSENT}

    def _read(
        self, asked: Sequence[Key], found: Sequence[bytes | None], values: dict[Key, Any]
    ) -> None:
        todo = self._sort(asked, found, values)
        deadline: float | None = None
        while True:
            self._check_negatives(todo, values)
            token, held, direct = self._take_leases(todo, values)
            if held or direct:
                self._load(held, direct, token, values)
            if not todo.leased:
                return
            if deadline is None:
                deadline = self.clock.monotonic() + self.source.policy.lease_wait
                metrics.count(self.source.name, "wait", len(todo.leased))
            left = deadline - self.clock.monotonic()
            if left <= 0:
                self._load([], todo.leased, token, values)
                return
            # Whose lease ends without a value is missing again: one of those who waited takes
            # the next lease, and the others go on waiting.
            waiting = todo.leased
            keys = [self.source.entry_key(key) for key in waiting]
            todo = self._sort(waiting, wait(self.store, keys, left, self.clock), values)

    def _sort(
        self, asked: Sequence[Key], found: Sequence[bytes | None], values: dict[Key, Any]
    ) -> _Sorted[Key]:
        todo: _Sorted[Key] = _Sorted([], [], [], [], [])
        start = entry.head(entry.VALUE, self.source.fingerprint, self.store.epoch)
        nothing = entry.head(entry.NEGATIVE, self.source.fingerprint, self.store.epoch)
        for key, data in zip(asked, found, strict=True):
            if data is None:
                todo.missing.append(key)
            elif data.startswith(start):
                self._decode(key, data, values, todo)
            elif data.startswith(nothing):
                todo.negative.append((key, data))
            elif is_lease(data):
                todo.leased.append(key)
            elif is_mark(data):
                todo.marked.append(key)
            else:
                self._useless(key, data, todo)
        return todo

    def _decode(self, key: Key, data: bytes, values: dict[Key, Any], todo: _Sorted[Key]) -> None:
        try:
            values[key] = self.source.decode(entry.payload_of(data))
        except CodecError:
            self._useless(key, data, todo)
        else:
            metrics.count(self.source.name, "hit")

    def _useless(self, key: Key, data: bytes, todo: _Sorted[Key]) -> None:
        """An entry of another schema or server is a plain miss; anything else is corrupt."""
        parts = entry.unpack(data)
        same = parts is not None and parts[0].fingerprint == self.source.fingerprint
        if parts is None or (same and parts[0].epoch == self.store.epoch):
            metrics.count(self.source.name, "corrupt")
            name = self.source.entry_key(key).decode()
            logger.warning("Cache entry %s is not one; it is loaded again.", name)
        todo.useless.append((key, data))

    def _check_negatives(self, todo: _Sorted[Key], values: dict[Key, Any]) -> None:
        if not todo.negative:
            return
        current = self.store.get(self.source.tag) if self.source.tag else None
        for key, data in todo.negative:
            parts = entry.unpack(data)
            versions = parts[0].versions if parts else ()
            if current is not None and len(versions) == 1 and current == entry.tag(versions[0]):
                values[key] = _ABSENT
                metrics.count(self.source.name, "negative")
            else:
                todo.useless.append((key, data))

    def _take_leases(
        self, todo: _Sorted[Key], values: dict[Key, Any]
    ) -> tuple[_Token, list[Key], list[Key]]:
        """Lease what is missing; returns what is held, and what must be read without a fill."""
        token = _Token(entry.new_token())
        direct = list(todo.marked)
        if todo.marked:
            metrics.count(self.source.name, "bypass", len(todo.marked))
        wanted: list[tuple[Key, bytes | None]] = [(key, None) for key in todo.missing]
        wanted += todo.useless
        if wanted:
            metrics.count(self.source.name, "miss", len(wanted))
        refused = [key for key, _ in wanted if not self.source.may_fill(key)]
        if refused:
            direct += refused
            wanted = [(key, data) for key, data in wanted if key not in set(refused)]
        if not wanted:
            return token, [], direct
        found = self._lease(token, wanted)
        held = [key for (key, _), data in zip(wanted, found, strict=True) if data is None]
        lost = [(key, data) for (key, _), data in zip(wanted, found, strict=True) if data]
        self._sort_lost(lost, values, todo, direct)
        return token, held, direct

    def _lease(
        self, token: _Token, wanted: Sequence[tuple[Key, bytes | None]]
    ) -> list[bytes | None]:
        source, lease = self.source, entry.lease(token.token)
        ttl = int(source.policy.lease_ttl * 1000)
        keys = [source.entry_key(key) for key, _ in wanted]
        tag = None
        if source.tag is not None and source.policy.negative_ttl:
            tag = (source.tag, entry.tag(entry.new_token()))
        found, current = self.store.lease(keys, lease, ttl, tag)
        if current is not None and current[:1] == entry.TAG:
            token.version = current[1:]
        token.epoch = self.store.epoch
        stuck = [at for at, (_, seen) in enumerate(wanted) if _still(seen, found[at])]
        if stuck:
            over = self.store.lease_over(
                [keys[at] for at in stuck], [found[at] or b"" for at in stuck], lease, ttl
            )
            for at, data in zip(stuck, over, strict=True):
                found[at] = data
        return found

    def _sort_lost(
        self,
        lost: Sequence[tuple[Key, bytes]],
        values: dict[Key, Any],
        todo: _Sorted[Key],
        direct: list[Key],
    ) -> None:
        """Keys that another got hold of between the look and the lease."""
        if not lost:
            return
        again = self._sort([key for key, _ in lost], [data for _, data in lost], values)
        self._check_negatives(again, values)
        todo.leased += again.leased
        direct += again.marked + again.missing + [key for key, _ in again.useless]

    def _load(
        self, held: list[Key], direct: list[Key], token: _Token, values: dict[Key, Any]
    ) -> None:
        source = self.source
        metrics.count(source.name, "load", len(held) + len(direct))
        started = perf_counter()
        try:
            loaded = source.load(held + direct)
            cost = int((perf_counter() - started) * 1e6)
            if held:
                keys = tuple(map(source.entry_key, held))
                for hook in hooks.before_fill:
                    hook(hooks.Loaded(keys, loaded.publish))
        except BaseException:
            self._release(held, token)
            raise
        for key in held + direct:
            values[key] = loaded.values.get(key, _ABSENT)
        if held:
            self._fill(held, loaded, token, cost)

    def _fill(self, held: list[Key], loaded: Loaded, token: _Token, cost: int) -> None:
        keys: list[bytes] = []
        entries: list[bytes] = []
        ttls: list[int] = []
        unused: list[Key] = []
        for key in held:
            made = self._entry(key, loaded, token, cost) if loaded.publish else None
            if made is None:
                unused.append(key)
            else:
                keys.append(self.source.entry_key(key))
                entries.append(made[0])
                ttls.append(made[1])
        if unused:
            self._release(unused, token)
        if not keys:
            return
        try:
            stored = self.store.fill(keys, entry.lease(token.token), entries, ttls)
        except StoreUnavailable as error:
            self.failed(error)
            return
        metrics.count(self.source.name, "fill", sum(stored))
        metrics.count(self.source.name, "refused_fill", len(stored) - sum(stored))

    def _entry(
        self, key: Key, loaded: Loaded, token: _Token, cost: int
    ) -> tuple[bytes, int] | None:
        """The entry of a loaded value and its lifetime; `None` where it cannot be kept."""
        source, policy = self.source, self.source.policy
        if key not in loaded.values:
            if token.version is None or not policy.negative_ttl:
                return None
            header = entry.Header(
                entry.NEGATIVE, source.fingerprint, token.epoch, 0, cost, (token.version,)
            )
            return entry.pack(header), max(1, int(policy.negative_ttl * 1000))
        value = loaded.values[key]
        if not source.may_fill(key):
            return None
        try:
            payload = source.encode(value)
        except CodecError as error:
            metrics.count(source.name, "unencodable")
            logger.warning("%s is not cached: %s", source.entry_key(key).decode(), error)
            return None
        soft = int((self.clock.time() + policy.soft_ttl) * 1000) if policy.soft_ttl else 0
        header = entry.Header(entry.VALUE, source.fingerprint, token.epoch, soft, cost, ())
        return entry.pack(header, payload), policy.expires_in()

    def _release(self, keys: Sequence[Key], token: _Token) -> None:
        if not keys:
            return
        try:
            self.store.release(
                [self.source.entry_key(key) for key in keys], entry.lease(token.token)
            )
        except StoreUnavailable as error:
            self.failed(error)

    def without_cache(self, asked: Sequence[Key], error: StoreUnavailable) -> dict[Key, Value]:
        """The values of keys from the database, because the store failed."""
        if not asked:
            return {}
        self.failed(error)
        return dict(self.source.load(asked).values)

    def failed(self, error: StoreUnavailable) -> None:
        """Count and log that the store did not answer."""
        metrics.count(self.source.name, "error")
        logger.warning("Reading %s from the database: %s", self.source.name, error)


@dataclass(slots=True)
class _Token:
    """A lease token, with the epoch and version that were read when it was taken."""

    token: bytes
    epoch: bytes = entry.NO_EPOCH
    version: bytes | None = None


class _Absent:
    """Known not to exist."""


_ABSENT = _Absent()


def is_mark(data: bytes) -> bool:
    """Whether an entry is a well-formed mark."""
    return (
        data[:1] == entry.MARK
        and len(data) > 1
        and len(data) % entry.WRITER_SIZE == 1
        and data[1 + entry.TOKEN_SIZE : 1 + entry.WRITER_SIZE].isdigit()
    )


def _still(seen: bytes | None, found: bytes | None) -> bool:
    """Whether the lease met the useless entry that was seen, or one that is not a string."""
    return found is not None and (found == b"" or found == seen)
