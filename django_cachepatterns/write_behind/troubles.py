"""What keeps buffers from being flushed: said when it begins and when it is over, not each time."""

from __future__ import annotations

import logging
from collections.abc import Callable

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
                self._begun(f"{name} cannot be flushed; what waits goes on waiting. {why(done)}")
        elif not done.held and name in self._failing:
            self._failing.discard(name)
            self._over(f"{name} is flushed again.")
        return done


def why(done: Flushed) -> str:
    """What kept buffers from being flushed, each reason once."""
    return "; ".join(dict.fromkeys(reason for _, reason in done.errors))


LOGGED = Troubles(logger.error, logger.info)
"""What this process writes to its log."""
