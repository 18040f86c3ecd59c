"""How fast rows are taken."""

from __future__ import annotations

import threading
from time import monotonic


class Pace:
    """Lets rows through at a rate.

    Args:
        rate: rows a second; `None`: as fast as it goes.
        stop: set it, and nobody waits any longer.
    """

    def __init__(self, rate: float | None, stop: threading.Event) -> None:
        self._rate, self._stop = rate, stop
        self._due = monotonic()

    def most(self, size: int) -> int:
        """How many rows to take at once, at most `size`: half a second's, so that it is even."""
        return size if self._rate is None else max(1, min(size, int(self._rate / 2)))

    def wait(self, rows: int) -> None:
        """Wait for these rows' turn. One thread at a time."""
        if self._rate is None:
            return
        now = monotonic()
        if self._due > now:
            self._stop.wait(self._due - now)
        self._due = max(self._due, now) + rows / self._rate
