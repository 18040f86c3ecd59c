"""Counts of what the cache did in this process.

Each thread counts in dicts of its own, so that a count costs no lock; who wants to know adds them
up. They only ever grow, so that whoever sends them on knows what is new by subtraction.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, NamedTuple

from ..threads import when_thread_ends
from .families import counted_as
from .histogram import BUCKETS
from .outcomes import OUTCOMES

Tally = dict[tuple[str, str], int]
"""Numbers by (family, name of what is counted)."""
Totals = tuple[Counter[tuple[str, str]], Counter[tuple[str, str]]]
"""Counts and times of several threads."""


class Cells(dict[str, list[int]]):
    """By family, its plain hits: the bytes that they have read, and then how many of them were in
    each bucket of time. So a hit is two additions."""

    def __missing__(self, family: str) -> list[int]:
        name = counted_as(family)
        return self.setdefault(name, [0] * (1 + BUCKETS)) if name == family else self[name]


class Own(NamedTuple):
    """What a thread counts in."""

    tally: Tally
    times: Tally
    cells: Cells

    def add_to(self, totals: Totals) -> None:
        """Add all of it to totals."""
        counts, times = totals
        counts.update(dict(self.tally))
        times.update(dict(self.times))
        for family, cell in list(self.cells.items()):
            size, *buckets = cell
            counts[family, "read_bytes"] += size
            counts[family, "hit"] += sum(buckets)
            for bucket, number in enumerate(buckets):
                if number:
                    times[family, f"hit:{bucket}"] += number


class _Thread(threading.local):
    """The counts of one thread, made when it first counts; what is left of them is kept."""

    tally: Tally
    times: Tally
    cells: Cells

    def __getattr__(self, name: str) -> Any:
        if name not in Own._fields:
            raise AttributeError(name)
        own = Own({}, {}, Cells())
        self.tally, self.times, self.cells = own
        number = next(_numbers)
        _running[number] = own
        when_thread_ends(self, _over.append, number)
        _settle(blocking=False)
        for told in when_first_counted:
            told()
        return self.__dict__[name]


when_first_counted: list[Callable[[], object]] = []
"""Called in each thread that counts for the first time."""

# Who notices the end of a thread may be anybody, in the middle of anything (the garbage collector):
# all that is done then is to take note of it.
_over: deque[int] = deque()
_numbers = itertools.count()
_running: dict[int, Own] = {}
_finished: Totals = Counter(), Counter()
_lock = threading.RLock()

thread = _Thread()
"""This thread's own counts: `tally` of outcomes, `times` by buckets of histograms, and `cells`."""


def count(family: str, outcome: str, by: int = 1) -> None:
    """Count an outcome of a family (a model's label, or a name)."""
    grow(thread.tally, family, outcome, by)


def grow(tally: Tally, family: str, name: str, by: int = 1) -> None:
    """Add to a number of this thread's."""
    try:
        tally[family, name] += by
    except KeyError:  # Only what is new may be of a family too many.
        key = (counted_as(family), name)
        tally[key] = tally.get(key, 0) + by


def tally() -> Tally:
    """This thread's own counts, for code that counts on a hot path. Without plain hits."""
    return thread.tally


def collected() -> Totals:
    """The totals of all threads of this process, those that have ended included."""
    with _lock:
        _settle(blocking=True)
        totals = Counter(_finished[0]), Counter(_finished[1])
        for own in list(_running.values()):
            own.add_to(totals)
    return totals


def by_family() -> dict[str, dict[str, int]]:
    """Totals of this process: family to outcome to count."""
    result: dict[str, dict[str, int]] = {}
    for (family, outcome), number in collected()[0].items():
        result.setdefault(family, {})[outcome] = number
    return result


def snapshot() -> dict[str, int]:
    """Totals of this process by outcome, over all families; every outcome is there."""
    totals = dict.fromkeys(OUTCOMES, 0)
    for outcomes in by_family().values():
        for outcome, number in outcomes.items():
            totals[outcome] = totals.get(outcome, 0) + number
    return totals


def _settle(*, blocking: bool) -> None:
    """Add up what threads have left that have ended."""
    if not _lock.acquire(blocking=blocking):
        return  # Whoever has it adds them up now, or the next one does.
    try:
        while _over:
            own = _running.pop(_over.popleft(), None)
            if own is not None:
                own.add_to(_finished)
    finally:
        _lock.release()


def _forget() -> None:
    """A forked child begins at nothing: what its parent has counted is its parent's."""
    global _lock
    _lock = threading.RLock()  # Another thread of the parent's may have had it.
    _running.clear()
    for total in _finished:
        total.clear()
    thread.__dict__.clear()
    _over.clear()


os.register_at_fork(after_in_child=_forget)
