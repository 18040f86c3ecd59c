"""Time as a seam: the system's clock, or a test's."""

from __future__ import annotations

import time as _time
from typing import Protocol


class Clock(Protocol):
    """What the library asks of a clock."""

    def time(self) -> float:
        """Seconds since the epoch, as `time.time()`."""

    def monotonic(self) -> float:
        """Seconds that never go backwards, as `time.monotonic()`."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


class SystemClock:
    """The machine's own clock."""

    time = staticmethod(_time.time)
    monotonic = staticmethod(_time.monotonic)
    sleep = staticmethod(_time.sleep)


SYSTEM_CLOCK = SystemClock()
