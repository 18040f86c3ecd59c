"""What keeps buffers from being flushed: said when it begins and when it is over, not each time."""

from __future__ import annotations

import logging
from collections.abc import Callable

from ..log_events import event
from .records import RECORDS
from .reports import Flushed

logger = logging.getLogger("django_cachepatterns")


class Troubles:
    """Who is told of flushes that fail.

    Args:
        begun: told in a sentence that a buffer cannot be flushed, and why.
        over: told in a sentence that it can be again.
    """

    def __init__(self, begun: Callable[[str], object], over: Callable[[str], object]) -> None:
        self._begun, self._over = begun, over
        self._failing: set[str] = set()

    def hear(self, name: str, done: Flushed) -> Flushed:
        """Take note of what a flush of one buffer did, and give it back."""
        if done.errors:
            if name not in self._failing:
                self._failing.add(name)
                self.has_begun(name, why(done))
        elif not done.held and name in self._failing:
            self._failing.discard(name)
            self.is_over(name)
        return done

    def has_begun(self, name: str, reason: str) -> None:
        """Say that a buffer cannot be flushed."""
        self._begun(f"{name} cannot be flushed; what waits goes on waiting. {reason}")

    def is_over(self, name: str) -> None:
        """Say that it can be again."""
        self._over(f"{name} is flushed again.")


class LoggedTroubles(Troubles):
    """Troubles of which the log is told."""

    def __init__(self) -> None:
        super().__init__(logger.error, logger.info)

    def has_begun(self, name: str, reason: str) -> None:
        extra = event("flush_failed", buffer=name, reason=reason)
        logger.error(
            "%s cannot be flushed; what waits goes on waiting. %s", name, reason, extra=extra
        )

    def is_over(self, name: str) -> None:
        logger.info("%s is flushed again.", name, extra=event("flush_recovered", buffer=name))


def reason_of(error: Exception) -> str:
    """What an error says, and what to do where this app has not been migrated."""
    reason = f"{type(error).__name__}: {error}".strip()
    if _is_without_tables(error):
        reason += (
            "\nThe tables of django_cachepatterns are not there: run migrate in each database that "
            "buffers are flushed to."
        )
    return reason


def _is_without_tables(error: Exception) -> bool:
    """Whether a table of this app is missing, as PostgreSQL, MySQL or SQLite say it."""
    text = str(error)
    is_missing = (
        getattr(error.__cause__, "sqlstate", None) == "42P01"
        or error.args[:1] == (1146,)
        or "no such table" in text
    )
    return is_missing and any(model._meta.db_table in text for model in RECORDS)


def why(done: Flushed) -> str:
    """What kept buffers from being flushed, each reason once."""
    return "; ".join(dict.fromkeys(reason for _, reason in done.errors))


LOGGED = LoggedTroubles()
"""What this process writes to its log."""
