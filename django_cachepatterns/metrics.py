"""Counts of what the cache did in this process.

Each thread counts in a dict of its own, so that a count costs no lock; `snapshot()` adds them up.
"""

from __future__ import annotations

import threading
from collections import Counter

from .threads import when_thread_ends

OUTCOMES = (
    "hit",
    "stale_hit",
    "negative",
    "miss",
    "wait",
    "bypass",
    "load",
    "fill",
    "refused_fill",
    "install",
    "refused_install",
    "refresh",
    "not_admitted",
    "oversize",
    "corrupt",
    "lost_mark",
    "unencodable",
    "error",
    # Of write-behind.
    "increment",
    "save",
    "overtaken",
    "direct",
    "full",
    "unknown",
    "flushed",
    "dropped",
    "dead_letter",
    "flush_error",
    "lost_batch",
)

Tally = dict[tuple[str, str], int]
"""Counts by (family, outcome)."""


class _Thread(threading.local):
    """The counts of one thread; they are kept in `_finished` when the thread ends."""

    def __init__(self) -> None:
        self.tally: Tally = {}
        with _lock:
            _running[id(self.tally)] = self.tally
        when_thread_ends(self, _finish, id(self.tally))


# Re-entrant: the garbage collector may notice at any moment that a thread has ended, in the middle
# of one of the blocks below, too.
_lock = threading.RLock()
_running: dict[int, Tally] = {}
_finished: Counter[tuple[str, str]] = Counter()


def _finish(ident: int) -> None:
    with _lock:
        _finished.update(_running.pop(ident, {}))


_thread = _Thread()


def count(family: str, outcome: str, by: int = 1) -> None:
    """Count an outcome of a family (a model's label, or a name)."""
    tally = _thread.tally
    key = (family, outcome)
    tally[key] = tally.get(key, 0) + by


def tally() -> Tally:
    """This thread's own counts, for code that counts on a hot path."""
    return _thread.tally


def by_family() -> dict[str, dict[str, int]]:
    """Totals of this process: family to outcome to count."""
    with _lock:
        total = Counter(_finished)
        for each in list(_running.values()):
            total.update(dict(each))
    result: dict[str, dict[str, int]] = {}
    for (family, outcome), number in total.items():
        result.setdefault(family, {})[outcome] = number
    return result


def snapshot() -> dict[str, int]:
    """Totals of this process by outcome, over all families; every outcome is there."""
    totals = dict.fromkeys(OUTCOMES, 0)
    for outcomes in by_family().values():
        for outcome, number in outcomes.items():
            totals[outcome] = totals.get(outcome, 0) + number
    return totals
