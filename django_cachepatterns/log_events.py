"""What the library writes to its log: each record says by name what has happened.

A record's `event` is one of `EVENTS`, and what else there is to know is in fields of the record, so
that nobody has to take sentences apart. Names and fields hold; sentences may change.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from typing import Any

from .clock import SYSTEM_CLOCK, Clock

EVENTS: dict[str, str] = {
    "cache_unavailable": "the cache server did not answer a read; it went to the database",
    "corrupt_entry": "an entry was none; it is loaded again",
    "not_cached": "a value cannot be cached; said once for a family and reason",
    "replica_read": "a function read a replica, so what it gave is not cached; said once",
    "metrics_undelivered": "this process keeps its figures, because the server did not take them",
    "metrics_not_rolled": "figures could not be rolled up; they are later",
    "many_families": "so many families are counted that all others are counted as one; said once",
    "dashboard_action": "somebody did something in the dashboard",
    "monitoring_failed": "some figures for the project's monitoring could not be had",
    "refused_fills": "a family's loaded values are refused again and again: written while loaded",
    "refresh_failed": "a stale value could not be loaded anew; it is served on",
    "refresh_not_sent": "Celery's broker was not told to refresh a stale value",
    "write_undelivered": "a step of a write did not reach the cache; entries may be stale",
    "lost_mark": "marks were gone when their transaction ended; the entries were deleted",
    "reload_failed": "what was written through could not be loaded again; it is not cached",
    "invalidation_failed": "an invalidation did not reach the cache; entries may be stale",
    "flush_failed": "a buffer cannot be flushed; what waits goes on waiting",
    "flush_recovered": "that buffer is flushed again",
    "dead_letter": "the database refused changes that had waited; they are kept as dead letters",
    "lost_batch": "the buffer server has lost a batch before it was flushed",
    "drain_failed": "what a process has counted is not flushed at its end, but by the next flush",
    "board_behind": "a leaderboard lacks rows until its next flush",
    "degraded": "a health check found that the site lacks something, and works without it",
    "board_untold": "a leaderboard could not be told of rows that were written",
    "audit_finding": "the auditor found an entry that is not what the database says",
    "audit_failed": "the cache, or a family of it, could not be audited",
    "audit_findings": "it found more of them than it logs one by one",
}
"""Every event by its name."""


def event(name: str, **fields: Any) -> dict[str, Any]:
    """The `extra` of a log record: its event, and its fields."""
    return {"event": name, **fields}


conceal: list[Callable[[str], str]] = []
"""What stars out of a key what nobody should read in a log; added when the app is ready."""


def shown(key: bytes) -> str:
    """A key as it is written to the log: that of a session would let its reader be its user."""
    text = key.decode("utf-8", "replace")
    for each in conceal:
        text = each(text)
    return text


EVERY = 10.0
"""Seconds in which an event that would come with every request is said once."""
MOST = 1000
"""Subjects that are remembered; families may be many."""


class Seldom:
    """Lets an event through once in a while, and counts the others.

    What is held back is not lost: it has the level DEBUG.

    Args:
        every: seconds, by event and subject.
    """

    def __init__(self, every: float = EVERY, clock: Clock = SYSTEM_CLOCK) -> None:
        self.every, self._clock = every, clock
        self.forget()

    def forget(self) -> None:
        """Say everything again: in a forked child, and for tests."""
        self._lock = threading.Lock()
        self._said: dict[tuple[str, str], tuple[float, int]] = {}

    def __call__(self, level: int, name: str, subject: str = "") -> tuple[int, int]:
        """The level that an event has now, and how many of it were held back since the last one.

        Args:
            level: the level that it has when it is let through.
            name: the event.
            subject: what it is about: a family, say.
        """
        key, now = (name, subject), self._clock.monotonic()
        with self._lock:
            until, held_back = self._said.get(key, (0.0, 0))
            if now < until:
                self._said[key] = until, held_back + 1
                return logging.DEBUG, held_back + 1
            if len(self._said) >= MOST:
                self._said.clear()
            self._said[key] = now + self.every, 0
            return level, held_back


seldom = Seldom()
"""What this process says seldom."""
os.register_at_fork(after_in_child=seldom.forget)
