"""The one way in which entries are read, loaded and filled, whatever they are of.

A reader asks for keys; what is missing is loaded under a lease and filled. The caller says how
entries are decoded, loaded and encoded (`Source`), so that rows, lists, functions and values share
this. What is written here once runs in threads and in coroutines, see `steps`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Generic, TypeVar

from . import entry, hooks, metrics
from .admission import Sketch
from .clock import SYSTEM_CLOCK, Clock
from .exceptions import CodecError, StoreUnavailable
from .sources import Loaded, Source
from .stampede import revalidate
from .stampede.early import is_due
from .stampede.flights import FLIGHTS, Flight, Flights
from .stampede.lease import LONGEST_WAIT, is_lease
from .steps import Join, Load, Script, arun, run
from .stores.base import Store

logger = logging.getLogger("django_cachepatterns")

Key = TypeVar("Key")
Value = TypeVar("Value")

_LEASING = frozenset({"lease", "stale_while_revalidate", "early_refresh"})
_REFRESHING = frozenset({"stale_while_revalidate", "early_refresh"})
_REFUSED_FOR = 10.0
"""Seconds that a process remembers that a value could not be cached."""


@dataclass(slots=True)
class _Sorted(Generic[Key]):
    """What the entries of some keys say that must be done about them."""

    missing: list[Key] = field(default_factory=list)
    useless: list[tuple[Key, bytes]] = field(default_factory=list)
    leased: list[Key] = field(default_factory=list)
    marked: list[Key] = field(default_factory=list)
    negative: list[tuple[Key, bytes]] = field(default_factory=list)


@dataclass(slots=True)
class _Token:
    """A lease token, with the epoch and versions that were read when it was taken."""

    token: bytes
    lease: bytes
    epoch: bytes = entry.NO_EPOCH
    tags: dict[bytes, bytes] = field(default_factory=dict)

    def versions(self, names: Iterable[bytes]) -> tuple[bytes, ...] | None:
        """The versions of tags; `None` where one of them is being written."""
        found = [self.tags.get(name, b"") for name in names]
        return tuple(tag[1:] for tag in found) if all(map(_is_tag, found)) else None


class _Memory:
    """What this process has found out about one family of entries."""

    __slots__ = ("_sketch", "refused", "said")

    def __init__(self) -> None:
        self._sketch: Sketch | None = None
        self.refused: dict[bytes, float] = {}
        self.said: set[str] = set()

    @property
    def sketch(self) -> Sketch:
        """How often keys were asked for; made when it is first needed."""
        if self._sketch is None:
            self._sketch = Sketch()
        return self._sketch


_memories: dict[str, _Memory] = {}


class Reader(Generic[Key, Value]):
    """Reads of one source through one store.

    Args:
        source: what is read.
        store: where entries live.
        clock: for the wait on another's lease.
        flights: who is already on the way to an entry in this process.
    """

    def __init__(
        self,
        source: Source[Key, Value],
        store: Store,
        clock: Clock = SYSTEM_CLOCK,
        flights: Flights = FLIGHTS,
    ) -> None:
        self.source = source
        self.store = store
        self.clock = clock
        self._flights = flights
        self._leases = source.policy.stampede in _LEASING
        self._refreshes = source.policy.stampede in _REFRESHING
        self._memory = _memories.setdefault(source.name, _Memory())
        self.seen_tags: dict[bytes, bytes | None] = {}
        """The tags as the last look found them; for a reader that only one thread has."""
        self.leased_tags: dict[bytes, bytes] = {}
        """The tags as they were when the lease was taken that the present load is done under."""

    def read(self, asked: Sequence[Key]) -> dict[Key, Value]:
        """The values of keys; absent ones are left out. Never raises for the cache's sake."""
        return run(self._reading(asked), self.source.load)

    async def aread(self, asked: Sequence[Key]) -> dict[Key, Value]:
        """The same in a coroutine, for a source that has an `aload`."""
        return await arun(self._reading(asked), self.source.aload)  # type: ignore[attr-defined]

    def resume(self, asked: Sequence[Key], found: Sequence[bytes | None]) -> dict[Key, Value]:
        """The same, for entries without tags that were fetched already."""
        return run(self._reading(asked, found), self.source.load)

    def peek(self, asked: Sequence[Key]) -> dict[Key, Value]:
        """The values that are in the cache, without a load."""
        return run(self._peeking(asked), self.source.load)

    async def apeek(self, asked: Sequence[Key]) -> dict[Key, Value]:
        """The same in a coroutine."""
        return await arun(self._peeking(asked), self.source.aload)  # type: ignore[attr-defined]

    def refresh(self, asked: Key) -> dict[Key, Value]:
        """Load one key anew, whatever the cache holds, and store it."""
        return run(self._refreshing(asked), self.source.load)

    async def arefresh(self, asked: Key) -> dict[Key, Value]:
        """The same in a coroutine."""
        return await arun(self._refreshing(asked), self.source.aload)  # type: ignore[attr-defined]

    def refresh_stale(self, asked: Key) -> bool:
        """Load one key anew if it is there, past its soft expiry, and nobody else is at it."""
        return run(self._refreshing_stale(asked), self.source.load)

    async def arefresh_stale(self, asked: Key) -> bool:
        """The same in a coroutine."""
        return await arun(self._refreshing_stale(asked), self.source.aload)  # type: ignore[attr-defined]

    def without_cache(self, asked: Sequence[Key], error: StoreUnavailable) -> dict[Key, Value]:
        """The values of keys from the database, because the store failed."""
        return run(self._without_cache(asked, error), self.source.load)

    def failed(self, error: StoreUnavailable) -> None:
        """Count and log that the store did not answer."""
        metrics.count(self.source.name, "error")
        logger.warning("Reading %s from the database: %s", self.source.name, error)

    # Reading

    def _reading(
        self, asked: Sequence[Key], found: Sequence[bytes | None] | None = None
    ) -> Script[dict[Key, Value]]:
        values: dict[Key, Any] = {}
        try:
            yield from self._read(asked, found, values)
        except StoreUnavailable as error:
            rest = [key for key in asked if key not in values]
            values.update((yield from self._without_cache(rest, error)))
        return {key: value for key, value in values.items() if value is not _ABSENT}

    def _read(
        self,
        asked: Sequence[Key],
        found: Sequence[bytes | None] | None,
        values: dict[Key, Any],
    ) -> Script[None]:
        todo = yield from self._look(asked, values, found)
        deadline: float | None = None
        while True:
            yield from self._check_negatives(todo, values)
            if deadline is None and todo.leased:
                deadline = self.clock.monotonic() + self.source.policy.lease_wait
                metrics.count(self.source.name, "wait", len(todo.leased))
            flight, leads = self._board(todo)
            if flight is not None and not leads:
                deadline = deadline or self.clock.monotonic() + self.source.policy.lease_wait
                todo = yield from self._fly_along(flight, todo, deadline, values)
                if deadline <= self.clock.monotonic():
                    rest = [key for key in asked if key not in values]
                    yield from self._load([], rest, self._token(), values)
                    return
                continue
            try:
                todo = yield from self._go(todo, deadline, values)
            except BaseException:
                if flight is not None:
                    self._flights.close(self.source.entry_key(asked[0]), flight)
                    flight.land(None)
                raise
            if flight is not None:
                yield from self._land(asked[0], flight)
            if not (todo.missing or todo.useless or todo.leased or todo.marked or todo.negative):
                return

    def _go(
        self, todo: _Sorted[Key], deadline: float | None, values: dict[Key, Any]
    ) -> Script[_Sorted[Key]]:
        """Load what can be leased, wait for what others load; returns what is still to be done."""
        token = self._token()
        held, direct = yield from self._take_leases(token, todo, values)
        if held or direct:
            yield from self._load(held, direct, token, values)
        if not todo.leased:
            return _Sorted()
        if deadline is None:
            deadline = self.clock.monotonic() + self.source.policy.lease_wait
            metrics.count(self.source.name, "wait", len(todo.leased))
        if not self._leases or deadline <= self.clock.monotonic():
            yield from self._load([], todo.leased, token, values)
            return _Sorted()
        # Whose lease ends without a value is missing again: one of those who waited takes the next
        # lease, and the others go on waiting.
        return (yield from self._wait(todo.leased, deadline, values))

    def _wait(
        self, waiting: Sequence[Key], deadline: float, values: dict[Key, Any]
    ) -> Script[_Sorted[Key]]:
        """Wait until none of some keys is leased, or the deadline; returns what is to be done."""
        done: _Sorted[Key] = _Sorted()
        while True:
            left = deadline - self.clock.monotonic()
            keys = [self.source.entry_key(key) for key in waiting]
            if left > 0:
                seconds = min(left, LONGEST_WAIT)
                yield lambda keys=keys, seconds=seconds: self.store.wait(keys, seconds)
            found = yield from self._look(waiting, values)
            for name in ("missing", "useless", "marked", "negative"):
                getattr(done, name).extend(getattr(found, name))
            waiting = found.leased
            if not waiting or left <= 0:
                done.leased = found.leased
                return done

    # Threads of one process

    def _board(self, todo: _Sorted[Key]) -> tuple[Flight | None, bool]:
        """The flight to the one key that is wanted, where there is just one."""
        wanted = todo.missing + [key for key, _ in todo.useless] + todo.leased
        if not self._leases or len(wanted) != 1 or todo.marked:
            return None, True
        if not self.source.may_fill(wanted[0]):
            return None, True
        return self._flights.join(self.source.entry_key(wanted[0]))

    def _fly_along(
        self, flight: Flight, todo: _Sorted[Key], deadline: float, values: dict[Key, Any]
    ) -> Script[_Sorted[Key]]:
        wanted = todo.missing + [key for key, _ in todo.useless] + todo.leased
        left = max(deadline - self.clock.monotonic(), 0.001)
        if not todo.leased:
            metrics.count(self.source.name, "wait")
        found = yield Join(flight.future, left)
        return (yield from self._look(wanted, values, found))

    def _land(self, asked: Key, flight: Flight) -> Script[None]:
        """Show those who have joined what stands in the store now."""
        if not self._flights.close(self.source.entry_key(asked), flight):
            return
        found: list[bytes | None] | None = None
        try:
            found = yield lambda: self.store.get_many(self._names([asked]))
        except StoreUnavailable as error:
            self.failed(error)
        finally:
            flight.land(found)

    # Looking at entries

    def _names(self, asked: Sequence[Key]) -> list[bytes]:
        """The keys of entries, and after them those of the tags that they depend on."""
        source = self.source
        names = [source.entry_key(key) for key in asked]
        tags = dict.fromkeys(tag for key in asked for tag in source.tags(key))
        return [*names, *tags]

    def _look(
        self,
        asked: Sequence[Key],
        values: dict[Key, Any],
        found: Sequence[bytes | None] | None = None,
    ) -> Script[_Sorted[Key]]:
        """Read entries and tags in one round trip, unless they are given."""
        names = self._names(asked) if found is None or len(found) > len(asked) else ()
        if found is None:
            found = yield lambda: self.store.get_many(names)
        self.seen_tags = tags = dict(zip(names[len(asked) :], found[len(asked) :], strict=True))
        return self._sort(asked, found[: len(asked)], tags, values)

    def _sort(
        self,
        asked: Sequence[Key],
        found: Sequence[bytes | None],
        tags: Mapping[bytes, bytes | None],
        values: dict[Key, Any],
    ) -> _Sorted[Key]:
        todo: _Sorted[Key] = _Sorted()
        start = entry.head(entry.VALUE, self.source.fingerprint, self.store.epoch)
        nothing = entry.head(entry.NEGATIVE, self.source.fingerprint, self.store.epoch)
        for key, data in zip(asked, found, strict=True):
            current = [tags.get(tag) for tag in self.source.tags(key)]
            if any(tag is not None and is_mark(tag) for tag in current):
                todo.marked.append(key)
            elif data is None:
                todo.missing.append(key)
            elif data.startswith(start):
                self._decode(key, data, data, current, values, todo)
            elif data.startswith(nothing):
                todo.negative.append((key, data))
            elif is_lease(data):
                todo.leased.append(key)
            elif is_mark(data):
                todo.marked.append(key)
            elif data[:1] == entry.REFRESH and data[entry.REFRESH_SIZE :].startswith(start):
                self._decode(key, data, data[entry.REFRESH_SIZE :], current, values, todo)
            else:
                self._useless(key, data, todo)
        return todo

    def _decode(
        self,
        key: Key,
        data: bytes,
        value: bytes,
        tags: Sequence[bytes | None],
        values: dict[Key, Any],
        todo: _Sorted[Key],
    ) -> None:
        """A value, as long as it was loaded under the versions that its tags have now."""
        if not _is_current(value, tags):
            todo.useless.append((key, data))
            return
        try:
            values[key] = self.source.decode(entry.payload_of(value))
        except CodecError:
            self._useless(key, data, todo)
            return
        if not self._refreshes or not self._is_stale(data, value):
            metrics.count(self.source.name, "hit")
        elif self.source.policy.refresh == "inline":
            self._refresh_inline(key, data, values)
        else:
            metrics.count(self.source.name, "stale_hit")
            revalidate.later(self, key)

    def _useless(self, key: Key, data: bytes, todo: _Sorted[Key]) -> None:
        """An entry of another schema or server is a plain miss; anything else is corrupt."""
        value = entry.being_refreshed(data)[1] if data[:1] == entry.REFRESH else data
        parts = entry.unpack(value)
        same = parts is not None and parts[0].fingerprint == self.source.fingerprint
        if parts is None or (same and parts[0].epoch == self.store.epoch):
            metrics.count(self.source.name, "corrupt")
            name = self.source.entry_key(key).decode()
            logger.warning("Cache entry %s is not one; it is loaded again.", name)
        todo.useless.append((key, data))

    def _check_negatives(self, todo: _Sorted[Key], values: dict[Key, Any]) -> Script[None]:
        if not todo.negative:
            return
        source = self.source
        negative, todo.negative = todo.negative, []
        names = [source.tag] if source.tag else []
        names += dict.fromkeys(tag for key, _ in negative for tag in source.tags(key))
        found = yield lambda: self.store.get_many(names)
        tags = dict(zip(names, found, strict=True))
        for key, data in negative:
            current = [tags.get(name) for name in self._depends(key)]
            if source.tag and _is_current(data, current):
                values[key] = _ABSENT
                metrics.count(source.name, "negative")
            else:
                todo.useless.append((key, data))

    def _depends(self, key: Key) -> tuple[bytes, ...]:
        """The tags of a negative entry."""
        tag = self.source.tag
        return (tag, *self.source.tags(key)) if tag is not None else self.source.tags(key)

    def _peeking(self, asked: Sequence[Key]) -> Script[dict[Key, Value]]:
        values: dict[Key, Any] = {}
        try:
            yield from self._look(asked, values)
        except StoreUnavailable as error:
            self.failed(error)
        return values

    # Loading

    def _token(self) -> _Token:
        token = entry.new_token()
        return _Token(token, entry.lease(token))

    def _take_leases(
        self, token: _Token, todo: _Sorted[Key], values: dict[Key, Any]
    ) -> Script[tuple[list[Key], list[Key]]]:
        """Lease what is missing; returns what is held, and what must be read without a fill."""
        direct = list(todo.marked)
        if todo.marked:
            metrics.count(self.source.name, "bypass", len(todo.marked))
        wanted: list[tuple[Key, bytes | None]] = [(key, None) for key in todo.missing]
        wanted += todo.useless
        if wanted:
            metrics.count(self.source.name, "miss", len(wanted))
        refused = [key for key, _ in wanted if not self._admits(key)]
        if refused:
            direct += refused
            wanted = [(key, data) for key, data in wanted if key not in set(refused)]
        if not wanted:
            return [], direct
        found = yield from self._lease(token, wanted)
        held, marked = [], []
        for (key, _), data in zip(wanted, found, strict=True):
            if data is None:
                sure = token.versions(self.source.tags(key)) is not None
                (held if sure else marked).append(key)
        if marked:
            # A tag of theirs is being written: what is loaded now must not be kept.
            metrics.count(self.source.name, "bypass", len(marked))
            yield from self._release(marked, token)
            direct += marked
        lost = [(key, data) for (key, _), data in zip(wanted, found, strict=True) if data]
        yield from self._sort_lost(lost, token, values, todo, direct)
        return held, direct

    def _admits(self, key: Key) -> bool:
        """Whether what is loaded may and should be kept."""
        if not self.source.may_fill(key):
            return False
        wanted, memory = self.source.policy.admit_after, self._memory
        if wanted > 1 and memory.sketch.ask(self.source.entry_key(key)) < wanted:
            metrics.count(self.source.name, "not_admitted")
            return False
        if not memory.refused:
            return True
        return memory.refused.get(self.source.entry_key(key), 0.0) <= self.clock.monotonic()

    def _lease(
        self, token: _Token, wanted: Sequence[tuple[Key, bytes | None]]
    ) -> Script[list[bytes | None]]:
        source, lease = self.source, token.lease
        ttl = int(source.policy.lease_ttl * 1000)
        keys = [source.entry_key(key) for key, _ in wanted]
        tags = list(dict.fromkeys(tag for key, _ in wanted for tag in source.tags(key)))
        if source.tag is not None and source.policy.negative_ttl and source.tag not in tags:
            tags.append(source.tag)
        fresh = entry.tag(entry.new_token())
        found, current = yield lambda: self.store.lease(keys, lease, ttl, tags, fresh)
        token.tags = dict(zip(tags, current, strict=True))
        token.epoch = self.store.epoch
        stuck = [at for at, (_, seen) in enumerate(wanted) if _still(seen, found[at])]
        if stuck:
            over = yield lambda: self.store.lease_over(
                [keys[at] for at in stuck], [found[at] or b"" for at in stuck], lease, ttl
            )
            for at, data in zip(stuck, over, strict=True):
                found[at] = data
        return list(found)

    def _sort_lost(
        self,
        lost: Sequence[tuple[Key, bytes]],
        token: _Token,
        values: dict[Key, Any],
        todo: _Sorted[Key],
        direct: list[Key],
    ) -> Script[None]:
        """Keys that another got hold of between the look and the lease."""
        if not lost:
            return
        again = self._sort([key for key, _ in lost], [data for _, data in lost], token.tags, values)
        yield from self._check_negatives(again, values)
        todo.leased += again.leased
        direct += again.marked + again.missing + [key for key, _ in again.useless]

    def _load(
        self, held: list[Key], direct: list[Key], token: _Token, values: dict[Key, Any]
    ) -> Script[None]:
        source = self.source
        metrics.count(source.name, "load", len(held) + len(direct))
        self.leased_tags = token.tags if held else {}
        started = perf_counter()
        try:
            loaded = yield Load(held + direct)
            cost = int((perf_counter() - started) * 1e6)
            if held:
                keys = tuple(map(source.entry_key, held))
                for hook in hooks.before_fill:
                    hook(hooks.Loaded(keys, loaded.publish))
        except GeneratorExit:
            raise  # The coroutine is no more; the lease lapses by itself.
        except BaseException:
            yield from self._release(held, token)
            raise
        for key in held + direct:
            values[key] = loaded.values.get(key, _ABSENT)
        if held:
            yield from self._fill(held, loaded, token, cost)

    def _fill(self, held: list[Key], loaded: Loaded, token: _Token, cost: int) -> Script[None]:
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
            yield from self._release(unused, token)
        if not keys:
            return
        try:
            stored = yield lambda: self.store.fill(keys, token.lease, entries, ttls)
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
            versions = token.versions(self._depends(key))
            if source.tag is None or versions is None or not policy.negative_ttl:
                return None
            header = entry.Header(
                entry.NEGATIVE, source.fingerprint, token.epoch, 0, cost, versions
            )
            return entry.pack(header), max(1, int(policy.negative_ttl * 1000))
        versions = token.versions(source.tags(key))
        if versions is None or not source.may_fill(key):
            return None
        return self.packed(key, loaded.values[key], token.epoch, versions, cost)

    def packed(
        self, key: Key, value: Value, epoch: bytes, versions: tuple[bytes, ...] = (), cost: int = 0
    ) -> tuple[bytes, int] | None:
        """The entry of a value and its lifetime in ms; `None` where it cannot be kept."""
        source, policy = self.source, self.source.policy
        try:
            payload = source.encode(value)
        except CodecError as error:
            self._refuse(key, "unencodable", str(error))
            return None
        ttl = policy.expires_in()
        header = entry.Header(
            entry.VALUE, source.fingerprint, epoch, self._soft_expiry(ttl), cost, versions
        )
        data = entry.pack(header, payload)
        limit = min(policy.max_size or self.store.largest_entry, self.store.largest_entry)
        if len(data) > limit:
            self._refuse(key, "oversize", f"it has {len(data)} bytes, the limit is {limit}")
            return None
        return data, ttl

    def _refuse(self, key: Key, outcome: str, reason: str) -> None:
        """A value that cannot be kept: for a while nobody waits for its being cached."""
        name = self.source.entry_key(key)
        metrics.count(self.source.name, outcome)
        memory = self._memory
        if len(memory.refused) > 1000:
            memory.refused.clear()
        memory.refused[name] = self.clock.monotonic() + _REFUSED_FOR
        if outcome not in memory.said:
            memory.said.add(outcome)
            logger.warning(
                "%s is not cached: %s. (Said once for all of %s.)",
                name.decode(),
                reason,
                self.source.name,
            )

    def _release(self, keys: Sequence[Key], token: _Token) -> Script[None]:
        if not keys:
            return
        names = [self.source.entry_key(key) for key in keys]
        try:
            yield lambda: self.store.release(names, token.lease)
        except StoreUnavailable as error:
            self.failed(error)

    def _without_cache(
        self, asked: Sequence[Key], error: StoreUnavailable
    ) -> Script[dict[Key, Value]]:
        if not asked:
            return {}
        self.failed(error)
        loaded = yield Load(asked)
        return dict(loaded.values)

    # Stale values

    def _soft_expiry(self, ttl: int) -> int:
        """Milliseconds since 1970 from which a value that lives for `ttl` ms is stale; 0: never."""
        policy = self.source.policy
        if not self._refreshes:
            return 0
        after = policy.soft_ttl * 1000 if policy.soft_ttl else ttl
        return int(self.clock.time() * 1000 + min(after, ttl))

    def may_be_stale(self, data: bytes) -> bool:
        """Whether a value entry is so old that a reader might have to refresh it."""
        soft_expiry, cost = entry.soft_expiry_and_cost(data)
        # Twenty times the cost: earlier than that, XFetch refreshes once in 10^8 reads.
        early = cost / 50 * self.source.policy.beta
        if self.source.policy.stampede != "early_refresh":
            early = 0.0
        return soft_expiry != 0 and self.clock.time() * 1000 + early >= soft_expiry

    def _is_stale(self, data: bytes, value: bytes) -> bool:
        """Whether a value should be refreshed, and nobody is at it."""
        soft_expiry, cost = entry.soft_expiry_and_cost(value)
        now = self.clock.time() * 1000
        if soft_expiry == 0 or (data[:1] == entry.REFRESH and entry.being_refreshed(data)[0] > now):
            return False
        if self.source.policy.stampede == "early_refresh":
            return is_due(now, soft_expiry, cost / 1000, self.source.policy.beta)
        return now >= soft_expiry

    def _refresh_inline(self, key: Key, data: bytes, values: dict[Key, Any]) -> None:
        """This reader loads; those who come meanwhile get the old value."""
        metrics.count(self.source.name, "stale_hit")
        try:
            fresh = run(self._refresh_over(key, data), self.source.load)
        except StoreUnavailable as error:
            self.failed(error)
            return
        values.update(fresh)

    def _refreshing_stale(self, asked: Key) -> Script[bool]:
        """What a background refresh does: it looks, takes the lease, and only then loads."""
        names = self._names([asked])
        found = yield lambda: self.store.get_many(names)
        data = found[0]
        if data is None or data[:1] not in (entry.VALUE, entry.REFRESH):
            return False
        value = data[entry.REFRESH_SIZE :] if data[:1] == entry.REFRESH else data
        start = entry.head(entry.VALUE, self.source.fingerprint, self.store.epoch)
        if not value.startswith(start):
            return False
        if self.source.policy.stampede != "early_refresh" and not self._is_stale(data, value):
            return False
        return bool((yield from self._refresh_over(asked, data)))

    def _refresh_over(self, asked: Key, seen: bytes) -> Script[dict[Key, Value]]:
        """Load under a refresh lease, if the entry is still as it was seen."""
        source = self.source
        ttl = int(source.policy.lease_ttl * 1000)
        token = entry.new_token()
        refresh = entry.refresh_lease(token, int(self.clock.time() * 1000) + ttl)
        tags, fresh = source.tags(asked), entry.tag(entry.new_token())
        key = source.entry_key(asked)
        taken, current = yield lambda: self.store.lease_refresh(key, seen, refresh, tags, fresh)
        if not taken:
            return {}
        held = _Token(token, refresh[: 1 + entry.TOKEN_SIZE], self.store.epoch)
        held.tags = dict(zip(tags, current, strict=True))
        metrics.count(source.name, "refresh")
        values: dict[Key, Any] = {}
        yield from self._load([asked], [], held, values)
        return {key: value for key, value in values.items() if value is not _ABSENT}

    def _refreshing(self, asked: Key) -> Script[dict[Key, Value]]:
        """Load whatever the cache holds: over a value, under a refresh lease; else under a lease."""
        try:
            found = yield lambda: self.store.get_many([self.source.entry_key(asked)])
            data = found[0]
            if self.source.may_fill(asked) and data is not None and data[:1] == entry.VALUE:
                values = yield from self._refresh_over(asked, data)
                if values:
                    return values
            keys = [self.source.entry_key(asked)]
            yield lambda: self.store.drop(keys)
        except StoreUnavailable as error:
            return (yield from self._without_cache([asked], error))
        return (yield from self._reading([asked]))


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


def _is_tag(data: bytes) -> bool:
    return len(data) == 1 + entry.TOKEN_SIZE and data[:1] == entry.TAG


def _is_current(data: bytes, tags: Sequence[bytes | None]) -> bool:
    """Whether an entry depends on just these versions."""
    if not tags:
        return data[30:32] == b"\0\0"
    return entry.versions_of(data) == b"".join(
        tag[1:] if tag is not None and _is_tag(tag) else b"\0" for tag in tags
    )


def _still(seen: bytes | None, found: bytes | None) -> bool:
    """Whether the lease met the useless entry that was seen, or one that is not a string."""
    return found is not None and (found == b"" or found == seen)
