"""The reader: what is there is served, what is not is loaded once, whoever asks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from .. import entry, metrics
from ..clock import SYSTEM_CLOCK, Clock
from ..exceptions import StoreUnavailable
from ..metrics.timing import Call
from ..sources import Source
from ..stampede.flights import FLIGHTS, Flight, Flights
from ..stampede.lease import LONGEST_WAIT
from ..steps import Join, Script, arun, run
from ..stores.base import Store
from .entries import ABSENT, Found, Looked, Sorted
from .looking import Key, Value
from .refreshing import Refreshing

_LEASING = frozenset({"lease", "stale_while_revalidate", "early_refresh"})


class Reader(Refreshing[Key, Value]):
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
        super().__init__(source, store, clock)
        self._flights = flights
        self._leases = source.policy.stampede in _LEASING

    def read(self, asked: Sequence[Key], call: Call | None = None) -> dict[Key, Value]:
        """The values of keys; absent ones are left out. Never raises for the cache's sake.

        Args:
            call: what it is a part of, if it is one: then that is timed by whoever began it.
        """
        return run(self._reading(asked, None, call), self.source.load)

    async def aread(self, asked: Sequence[Key]) -> dict[Key, Value]:
        """The same in a coroutine, for a source that has an `aload`."""
        return await arun(self._reading(asked), self.source.aload)  # type: ignore[attr-defined]

    def resume(
        self,
        asked: Sequence[Key],
        found: Sequence[bytes | None],
        call: Call | None = None,
        began: int = 0,
    ) -> dict[Key, Value]:
        """The same, for entries without tags that were fetched already.

        Args:
            began: when that began, in nanoseconds of `perf_counter_ns()`.
        """
        return run(self._reading(asked, found, call, began), self.source.load)

    def decoded(
        self, asked: Sequence[Key], found: Sequence[bytes | None], epoch: bytes
    ) -> dict[Key, Value]:
        """The values in entries without tags that were fetched already, without a load.

        Args:
            epoch: of the server that they were fetched from.
        """
        return run(self._peeking(asked, Looked(found, epoch)), self.source.load)

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

    def without_cache(
        self,
        asked: Sequence[Key],
        error: StoreUnavailable,
        call: Call | None = None,
        began: int = 0,
    ) -> dict[Key, Value]:
        """The values of keys from the database, because the store failed."""
        return run(self._going_without(asked, error, call, began), self.source.load)

    def _reading(
        self,
        asked: Sequence[Key],
        found: Sequence[bytes | None] | None = None,
        call: Call | None = None,
        began: int = 0,
        *,
        is_read: bool = True,
    ) -> Script[dict[Key, Value]]:
        values = Found(call or Call(began))
        try:
            try:
                given = None if found is None else Looked(found, self.store.epoch)
                yield from self._read(asked, given, values)
            except StoreUnavailable as error:
                rest = [key for key in asked if key not in values]
                values.update((yield from self._without_cache(rest, error, values)))
        finally:
            if is_read:
                self.note(values, is_call=call is None)
        return {key: value for key, value in values.items() if value is not ABSENT}

    def _going_without(
        self, asked: Sequence[Key], error: StoreUnavailable, call: Call | None, began: int
    ) -> Script[dict[Key, Value]]:
        values = Found(call or Call(began))
        try:
            return (yield from self._without_cache(asked, error, values))
        finally:
            self.note(values, is_call=call is None)

    def _read(
        self,
        asked: Sequence[Key],
        given: Looked | None,
        values: Found,
    ) -> Script[None]:
        todo = yield from self._look(asked, values, given)
        deadline: float | None = None
        while True:
            yield from self._check_negatives(todo, values)
            if deadline is None and todo.leased:
                deadline = self.clock.monotonic() + self.source.policy.lease_wait
                self._count_waits(todo.leased, values)
            wanted = todo.missing + [key for key, _ in todo.useless] + todo.leased
            flight, leads = self._board(todo, wanted)
            if flight is not None and not leads:
                deadline = deadline or self.clock.monotonic() + self.source.policy.lease_wait
                todo = yield from self._fly_along(flight, wanted[0], todo, deadline, values)
                if deadline <= self.clock.monotonic():
                    rest = [key for key in asked if key not in values]
                    values.become("timed_out", rest)
                    yield from self._load([], rest, self._token(), values)
                    return
                continue
            try:
                todo = yield from self._go(todo, deadline, values)
            except BaseException:
                if flight is not None:
                    self._flights.close(flight)
                    flight.land(None)
                raise
            if flight is not None:
                yield from self._land(wanted[0], flight)
            if not (todo.missing or todo.useless or todo.leased or todo.marked or todo.negative):
                return

    def _go(self, todo: Sorted[Key], deadline: float | None, values: Found) -> Script[Sorted[Key]]:
        """Load what can be leased, wait for what others load; returns what is still to be done."""
        token = self._token()
        held, direct = yield from self._take_leases(token, todo, values)
        if held or direct:
            yield from self._load(held, direct, token, values)
        if not todo.leased:
            return Sorted()
        if deadline is None:
            deadline = self.clock.monotonic() + self.source.policy.lease_wait
            self._count_waits(todo.leased, values)
        if not self._leases or deadline <= self.clock.monotonic():
            values.become("timed_out" if self._leases else "miss", todo.leased)
            yield from self._load([], todo.leased, token, values)
            return Sorted()
        # Whose lease ends without a value is missing again: one of those who waited takes the next
        # lease, and the others go on waiting.
        return (yield from self._wait(todo.leased, deadline, values))

    def _wait(self, waiting: Sequence[Key], deadline: float, values: Found) -> Script[Sorted[Key]]:
        """Wait until none of some keys is leased, or the deadline; returns what is to be done."""
        done: Sorted[Key] = Sorted()
        while True:
            left = deadline - self.clock.monotonic()
            keys = [self.source.entry_key(key) for key in waiting]
            if left > 0:
                seconds = min(left, LONGEST_WAIT)
                yield partial(self.store.wait, keys, seconds)
            found = yield from self._look(waiting, values)
            for name in ("missing", "useless", "marked", "negative"):
                getattr(done, name).extend(getattr(found, name))
            waiting = found.leased
            if not waiting or left <= 0:
                done.leased = found.leased
                return done

    def _board(self, todo: Sorted[Key], wanted: Sequence[Key]) -> tuple[Flight | None, bool]:
        """The flight to the one key that is wanted, where there is just one."""
        if not self._leases or len(wanted) != 1 or todo.marked:
            return None, True
        if not self._may_fill(wanted[0]) or self._is_kept_out(wanted[0]):
            return None, True  # Those who joined would find nothing, and fly one by one.
        # Not by the entry's key alone: whoever joins is shown what these very names hold, there.
        course = (id(self.store), self.source.fingerprint, *self._names(wanted))
        return self._flights.join(course)

    def _fly_along(
        self,
        flight: Flight,
        wanted: Key,
        todo: Sorted[Key],
        deadline: float,
        values: Found,
    ) -> Script[Sorted[Key]]:
        left = max(deadline - self.clock.monotonic(), 0.001)
        self._count_waits([wanted], values)
        found = yield Join(flight.future, left)
        return (yield from self._look([wanted], values, found))

    def _count_waits(self, keys: Sequence[Key], values: Found) -> None:
        """Count keys that another loads, each once however often it is waited for."""
        fresh = [key for key in keys if key not in values.waited]
        values.waited.update(fresh)
        metrics.count(self.source.name, "wait", len(fresh))

    def _land(self, asked: Key, flight: Flight) -> Script[None]:
        """Show those who have joined what stands in the store now."""
        if not self._flights.close(flight):
            return
        found: Looked | None = None
        try:
            found = yield partial(self._get, self._names([asked]))
        except StoreUnavailable as error:
            self.failed(error)
        finally:
            flight.land(found)

    def _refreshing(self, asked: Key) -> Script[dict[Key, Value]]:
        """Load whatever the cache holds: over a value under a refresh lease, else under a lease."""
        try:
            found = yield partial(self.store.get_many, [self.source.entry_key(asked)])
            data = found[0]
            if self._may_fill(asked) and data is not None and data[:1] == entry.VALUE:
                values = yield from self._refresh_over(asked, data, Call())
                if values is not None:
                    return values
            keys = [self.source.entry_key(asked)]
            yield lambda: self.store.drop(keys)
        except StoreUnavailable as error:
            return (yield from self._without_cache([asked], error, Found(Call())))
        metrics.count(self.source.name, "refresh")
        return (yield from self._reading([asked], is_read=False))
