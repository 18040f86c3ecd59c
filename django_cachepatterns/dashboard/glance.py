"""One look at the cache: what a page shows, asked at most once, and not at all of a dead server."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from django.utils.functional import cached_property

from .. import conf
from ..exceptions import PolicyError, StoreUnavailable
from ..inspection.masks import key_for
from ..metrics import history
from ..metrics.measured import Measured, total
from .families import buffer_names, declared

T = TypeVar("T")

RANGES = {
    "15m": "15 minutes",
    "hour": "hour",
    "day": "day",
    "month": "month",
    "year": "year",
}
"""The ranges that there are to choose from, as they are called."""
USUAL = "15m"
LIVE = {"15m": 5, "hour": 5, "day": 30, "month": 60, "year": 60}
"""Seconds between refreshes: what changes slowly is not asked for every moment."""
CACHE, BUFFERS = "CACHE", "BUFFER_CACHE"
"""The servers, by the settings that name them."""


class Glance:
    """What the servers know now.

    Where one does not answer, it is not asked again: each question would take a timeout more.

    Args:
        range_name: one of `RANGES`.
        family: the family to look at; `None`: all.
        now: the end of the range in unix seconds; `None`: the clock of the server.
        may_read: whether who looks may read what entries hold.
    """

    def __init__(
        self,
        range_name: str = USUAL,
        family: str | None = None,
        now: float | None = None,
        may_read: bool = False,
    ) -> None:
        self.range, self.family, self.may_read = range_name, family, may_read
        self.now = now
        self._over_time: dict[str | None, list[tuple[int, Measured]]] = {}
        self.down: dict[str, str] = {}
        """What is to be said of servers that did not answer, by the setting that names them."""

    @property
    def span(self) -> int:
        """Seconds that the range covers."""
        chosen = history.RANGES[self.range]
        return chosen.step * chosen.points

    @property
    def known(self) -> int:
        """Seconds of the range since anything was read, as its steps tell: of a cache that was
        switched on today, a month is a day long."""
        steps = self.over_time(self.family)
        first = next((at for at, measured in steps if measured.reads), None)
        step = history.RANGES[self.range].step
        return self.span if first is None else steps[-1][0] - first + step

    def ask(self, question: Callable[[], T], otherwise: T, server: str = CACHE) -> T:
        """What a question to a server gives, or something else where that is down."""
        server = CACHE if _are_the_same() else server
        if server in self.down:
            return otherwise
        try:
            return question()
        except StoreUnavailable as error:
            self.down[server] = _SAID[server].format(error)
        except PolicyError as error:
            self.down[server] = f"{_NOTHING[server]} {error}"
        return otherwise

    @cached_property
    def totals(self) -> dict[str, Measured]:
        """The sums over the range, by family, with cached models that nobody has read."""
        nothing: dict[str, Measured] = {}
        found = self.ask(lambda: history.totals(self.range, self.now), nothing)
        return {**{name: Measured() for name in declared()}, **found}

    @cached_property
    def policies(self) -> dict[str, Measured]:
        """The same of families that are read: neither buffers nor what belongs to none."""
        names = buffer_names()
        return {
            name: measured
            for name, measured in self.totals.items()
            if name and (measured.reads or name.lower() not in names)
        }

    @cached_property
    def overall(self) -> Measured:
        """The sum of all families, or the family that is looked at."""
        if self.family is not None:
            return self.totals.get(self.family, Measured())
        return total(self.policies.values())

    def over_time(self, family: str | None = None) -> list[tuple[int, Measured]]:
        """The range step by step, of a family or of all."""
        if family not in self._over_time:
            nothing: list[tuple[int, Measured]] = []
            self._over_time[family] = self.ask(
                lambda: history.over_time(self.range, family, self.now), nothing
            )
        return self._over_time[family]

    @cached_property
    def hottest(self) -> list[tuple[str, int]]:
        """The keys that are asked for most, and their weights."""
        nothing: list[tuple[str, int]] = []
        return self.ask(lambda: history.hottest(HOTTEST, self.family), nothing)

    def shown(self, key: str) -> str:
        """A key as who looks may see it."""
        return key_for(key, conf.config().values["KEY_PREFIX"], self.may_read)

    def problems(self) -> list[str]:
        """What is to be said of servers that did not answer, and of what is switched off."""
        config, said = conf.config(), list(self.down.values())
        if not config.enabled:
            said.append(NOT_ENABLED)
        if not config.measures:
            said.append(NO_METRICS)
        return said


HOTTEST = 20
NOT_ENABLED = "CACHEPATTERNS['ENABLED'] is False: this process reads everything from the database."
NO_METRICS = "CACHEPATTERNS['METRICS'] is False: this process counts nothing, and sends nothing."
_SAID = {
    CACHE: "The cache server does not answer, so there are no figures: {} The site reads from the "
    "database meanwhile. See that the server of CACHEPATTERNS['CACHE'] runs.",
    BUFFERS: "The buffer server does not answer, so nobody can say what waits: {} See that the "
    "server of CACHEPATTERNS['BUFFER_CACHE'] runs.",
}
_NOTHING = {
    CACHE: "Nothing is cached, and there are no figures:",
    BUFFERS: "Nothing can be written behind:",
}


def _are_the_same() -> bool:
    """Whether entries and buffers are on one server: then it is asked once whether it answers."""
    values = conf.config().values
    return bool(values[CACHE] == values[BUFFERS])
