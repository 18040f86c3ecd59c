"""Loading: what is missing is leased, loaded and filled."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from itertools import compress
from time import perf_counter, perf_counter_ns

from .. import entry, hooks, metrics
from ..clock import Clock
from ..exceptions import CodecError, StoreUnavailable
from ..log_events import event, shown
from ..metrics.timing import Call
from ..sources import Loaded, Source
from ..steps import Load, Script
from ..stores.base import Store
from ..transactions import uncommitted
from .entries import ABSENT, Found, Looked, Sorted, is_mark, still
from .looking import Key, Looking, Value
from .memory import memory_of

logger = logging.getLogger("django_cachepatterns")

REFUSED_FOR = 10.0
"""Seconds that a process remembers that a value could not be cached."""


MANY_REFUSED = 100
"""Refused fills of a family in a row that are said."""
_NOTHING = nullcontext()


@dataclass(slots=True)
class Token:
    """A lease token, with the epoch and versions that were read when it was taken."""

    token: bytes
    lease: bytes
    epoch: bytes = entry.NO_EPOCH
    tags: dict[bytes, bytes] = field(default_factory=dict)
    is_abandoned: bool = False
    """Whether nobody waits for the leases any more."""

    @property
    def is_lease(self) -> bool:
        """Whether nothing is behind the lease; else there is an old value, which is served."""
        return self.lease[:1] == entry.LEASE

    def versions(self, names: Iterable[bytes]) -> tuple[bytes, ...] | None:
        """The versions of tags; `None` where one of them is being written."""
        found = [self.tags.get(name, b"") for name in names]
        return tuple(tag[1:] for tag in found) if all(map(entry.is_tag, found)) else None


class Loading(Looking[Key, Value]):
    """Loads what is missing."""

    def __init__(self, source: Source[Key, Value], store: Store, clock: Clock) -> None:
        super().__init__(source, store, clock)
        self._memory = memory_of(source.name)
        self.leased_tags: dict[bytes, bytes] = {}
        """The tags as they were when the lease was taken that the present load is done under."""

    def _token(self) -> Token:
        token = entry.new_token()
        return Token(token, entry.lease(token))

    def _take_leases(
        self, token: Token, todo: Sorted[Key], values: Found
    ) -> Script[tuple[list[Key], list[Key]]]:
        """Lease what is missing; returns what is held, and what must be read without a fill."""
        direct = list(todo.marked)
        values.become("bypass", direct)
        wanted: list[tuple[Key, bytes | None]] = [(key, None) for key in todo.missing]
        wanted += todo.useless
        values.become("miss", (key for key, _ in wanted))
        refused = [key for key, _ in wanted if not self._admits(key)]
        if refused:
            direct += refused
            wanted = [(key, data) for key, data in wanted if key not in set(refused)]
        if not wanted:
            return [], direct
        try:
            return (yield from self._take(token, wanted, todo, values, direct)), direct
        except (GeneratorExit, StoreUnavailable):
            raise  # Nobody is left to give anything back, or nobody to give it to.
        except BaseException:
            # Cancelled; the command may yet be carried out, in another thread.
            token.is_abandoned = True
            yield from self._release([key for key, _ in wanted], token)
            raise

    def _take(
        self,
        token: Token,
        wanted: Sequence[tuple[Key, bytes | None]],
        todo: Sorted[Key],
        values: Found,
        direct: list[Key],
    ) -> Script[list[Key]]:
        """Lease keys; returns those that are held, and adds to the others' lists."""
        found = yield from self._lease(token, wanted)
        held: list[Key] = []
        marked: list[Key] = []
        for (key, _), data in zip(wanted, found, strict=True):
            if data is None:
                sure = token.versions(self.source.tags(key)) is not None
                (held if sure else marked).append(key)
        if marked:
            # A tag of theirs is being written: what is loaded now must not be kept.
            values.become("bypass", marked)
            yield from self._release(marked, token)
            direct += marked
        lost = [(key, data) for (key, _), data in zip(wanted, found, strict=True) if data]
        yield from self._sort_lost(lost, token, values, todo, direct)
        return held

    def _admits(self, key: Key) -> bool:
        """Whether what is loaded may and should be kept."""
        if not self._may_fill(key):
            return False
        wanted, memory = self.source.policy.admit_after, self._memory
        if wanted > 1 and memory.sketch.ask(self.source.entry_key(key)) < wanted:
            metrics.count(self.source.name, "not_admitted")
            return False
        return not self._is_refused(key)

    def _may_fill(self, key: Key) -> bool:
        """Whether this thread may show others what it loads. One that has written in an open
        transaction may not: it does not even take a lease, for which others would wait in vain."""
        return not uncommitted() and self.source.may_fill(key)

    def _is_kept_out(self, key: Key) -> bool:
        """Whether what is loaded now will not be kept; asking does not count as asking for it."""
        wanted = self.source.policy.admit_after
        if wanted > 1 and self._memory.sketch.count(self.source.entry_key(key)) + 1 < wanted:
            return True
        return self._is_refused(key)

    def _is_refused(self, key: Key) -> bool:
        refused = self._memory.refused
        if not refused:
            return False
        return refused.get(self.source.entry_key(key), 0.0) > self.clock.monotonic()

    def _lease(
        self, token: Token, wanted: Sequence[tuple[Key, bytes | None]]
    ) -> Script[list[bytes | None]]:
        source, lease = self.source, token.lease
        ttl = int(source.policy.lease_ttl * 1000)
        keys = [source.entry_key(key) for key, _ in wanted]
        tags = list(dict.fromkeys(tag for key, _ in wanted for tag in source.tags(key)))
        if source.tag is not None and source.policy.negative_ttl and source.tag not in tags:
            tags.append(source.tag)
        fresh = entry.tag(entry.new_token())

        def take() -> tuple[list[bytes | None], list[bytes], bytes]:
            taken = self.store.lease(keys, lease, ttl, tags, fresh)
            if token.is_abandoned:
                self.store.release(keys, lease)
            return (*taken, self.store.epoch)

        def take_over() -> list[bytes | None]:
            taken = self.store.lease_over(
                [keys[at] for at in stuck], [found[at] or b"" for at in stuck], lease, ttl
            )
            if token.is_abandoned:
                self.store.release(keys, lease)
            return taken

        found, current, token.epoch = yield take
        token.tags = dict(zip(tags, current, strict=True))
        odd = [
            name for name, tag in token.tags.items() if not entry.is_tag(tag) and not is_mark(tag)
        ]
        if odd:
            # Nothing could ever be stored under these; the next reader makes them anew.
            yield partial(self.store.drop, odd)
        stuck = [at for at, (_, seen) in enumerate(wanted) if still(seen, found[at])]
        if stuck:
            over = yield take_over
            for at, data in zip(stuck, over, strict=True):
                found[at] = data
        return list(found)

    def _sort_lost(
        self,
        lost: Sequence[tuple[Key, bytes]],
        token: Token,
        values: Found,
        todo: Sorted[Key],
        direct: list[Key],
    ) -> Script[None]:
        """Keys that another got hold of between the look and the lease."""
        if not lost:
            return
        looked = Looked([data for _, data in lost], token.epoch)
        again = self._sort([key for key, _ in lost], looked, token.tags, values)
        yield from self._check_negatives(again, values)
        todo.leased += again.leased
        values.become("bypass", again.marked)
        direct += again.marked + again.missing + [key for key, _ in again.useless]

    def _load(
        self, held: list[Key], direct: list[Key], token: Token, values: Found
    ) -> Script[None]:
        source = self.source
        self.leased_tags = token.tags if held else {}
        started = perf_counter()
        try:
            loaded = yield from self._loaded(held + direct, values.call)
            cost = int((perf_counter() - started) * 1e6)
            for key in held + direct:
                values[key] = loaded.values.get(key, ABSENT)
            if held:
                keys = tuple(map(source.entry_key, held))
                for hook in hooks.before_fill:
                    hook(hooks.Loaded(keys, loaded.publish))
                yield from self._fill(held, loaded, token, cost)
        except GeneratorExit:
            raise  # The coroutine is no more; the lease lapses by itself.
        except BaseException:
            if token.is_lease:
                # A refresh keeps its lease: the old value is served on, and nobody tries again
                # until it lapses.
                yield from self._release(held, token)
            raise

    def _fill(self, held: list[Key], loaded: Loaded, token: Token, cost: int) -> Script[None]:
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
        if unused and (loaded.publish or token.is_lease):
            # Under a refresh the old value stays: it is no worse than it was.
            yield from self._release(unused, token)
        if not keys:
            return
        try:
            stored = yield lambda: self.store.fill(keys, token.lease, entries, ttls)
        except StoreUnavailable as error:
            self.failed(error)
            return
        metrics.count(self.source.name, "fill", sum(stored))
        metrics.count(self.source.name, "filled_bytes", sum(map(len, compress(entries, stored))))
        metrics.count(self.source.name, "refused_fill", len(stored) - sum(stored))
        self._note_refused(len(stored) - sum(stored))

    def _note_refused(self, refused: int) -> None:
        """One refused fill is the protocol at work; nothing but refused ones is worth a look."""
        memory, family = self._memory, self.source.name
        memory.refused_in_a_row = memory.refused_in_a_row + refused if refused else 0
        if memory.refused_in_a_row >= MANY_REFUSED:
            memory.refused_in_a_row = 0
            logger.warning(
                "%d fills of %s in a row were refused, because it was written while it was loaded, "
                "or because its lease had lapsed. Is it written more often than it is read, or "
                "does it take longer to load than lease_ttl?",
                MANY_REFUSED,
                family,
                extra=event("refused_fills", family=family, count=MANY_REFUSED),
            )

    def _entry(self, key: Key, loaded: Loaded, token: Token, cost: int) -> tuple[bytes, int] | None:
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
        if len(versions) > entry.MOST_VERSIONS:
            self._refuse(key, "oversize", f"it depends on {len(versions)} tags")
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
        memory.refused[name] = self.clock.monotonic() + REFUSED_FOR
        if outcome not in memory.said:
            memory.said.add(outcome)
            logger.warning(
                "%s is not cached: %s. (Said once for all of %s.)",
                shown(name),
                reason,
                self.source.name,
                extra=event(
                    "not_cached",
                    family=self.source.name,
                    key=shown(name),
                    outcome=outcome,
                    reason=reason,
                ),
            )

    def _release(self, keys: Sequence[Key], token: Token) -> Script[None]:
        if not keys:
            return
        names = [self.source.entry_key(key) for key in keys]
        try:
            yield lambda: self.store.release(names, token.lease)
        except StoreUnavailable as error:
            self.failed(error)

    def _without_cache(
        self, asked: Sequence[Key], error: StoreUnavailable, values: Found
    ) -> Script[dict[Key, Value]]:
        if not asked:
            return {}
        self.failed(error)
        values.become("outage", asked)
        loaded = yield from self._loaded(asked, values.call)
        return dict(loaded.values)

    def _loaded(self, asked: Sequence[Key], call: Call) -> Script[Loaded]:
        """What the source gives."""
        call.loaded = True
        with self.observed(asked):
            loaded: Loaded = yield Load(asked)
        return loaded

    @contextmanager
    def observed(self, asked: Sequence[Key], *, by_key: bool = False) -> Iterator[None]:
        """Count, time and tell of a load, which is the block.

        Args:
            asked: what is loaded.
            by_key: whether its time is shared out among the keys: nobody waits for all of them.
        """
        metrics.count(self.source.name, "load", len(asked))
        began = perf_counter_ns()
        try:
            with self._around(asked):
                yield
        except GeneratorExit:
            raise  # The coroutine is no more: nobody knows how long it would have taken.
        except BaseException as error:
            metrics.count(self.source.name, "load_error")
            self._note_load(asked, began, by_key, error)
            raise
        self._note_load(asked, began, by_key, None)

    def _around(self, asked: Sequence[Key]) -> AbstractContextManager[None]:
        if not hooks.around_load:
            return _NOTHING
        keys = tuple(map(self.source.entry_key, asked))
        return hooks.around(hooks.Loading(self.source.name, self.source, keys))

    def _note_load(
        self, asked: Sequence[Key], began: int, by_key: bool, error: BaseException | None
    ) -> None:
        spent = perf_counter_ns() - began
        if self.measures:
            self.meter.took("load", began + (spent - spent // len(asked) if by_key else 0))
        if hooks.after_load:
            seconds = spent / 1e9
            keys = tuple(map(self.source.entry_key, asked))
            started = self.clock.time() - seconds
            done = hooks.LoadDone(self.source.name, self.source, keys, started, seconds, error)
            for hook in hooks.after_load:
                hook(done)

    def _soft_expiry(self, ttl: int) -> int:
        """Milliseconds since 1970 from which a value that lives for `ttl` ms is stale; 0: never."""
        return 0
