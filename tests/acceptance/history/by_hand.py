"""`get_or_set`, as everyone writes it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.cache import cache


def key_of(what: str, argument: Any) -> str:
    """Under the run's prefix, so that it is deleted with everything else."""
    name = f"{what}:{argument}".replace(" ", "-")
    return f"{settings.CACHEPATTERNS['KEY_PREFIX']}:by-hand:{name}"


class GetOrSet:
    """Loads what is not cached, and counts; `pause` is called between a load and its storing."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.pause: Callable[[], None] = lambda: None

    def get(self, what: str, argument: Any, load: Callable[[Any], Any]) -> Any:
        """The value of one key."""
        loads = self.counts["load"]

        def loaded() -> Any:
            self.counts["load"] += 1
            found = load(argument)
            self.pause()
            return ("", found)  # `None` is a value.

        _, value = cache.get_or_set(key_of(what, argument), loaded, 600)
        if self.counts["load"] == loads:
            self.counts["hit"] += 1
        return value

    def read(self, what: str, load: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """A cached function of one argument."""
        return lambda argument: self.get(what, argument, load)
