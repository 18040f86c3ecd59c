"""What all processes have sent: sums and courses over the last minutes, hours, days."""

from __future__ import annotations

from typing import NamedTuple

from .. import conf
from ..stores import figures_of
from ..stores.figures import Fields
from .measured import Measured


class Range(NamedTuple):
    """A stretch of time that ends now.

    Args:
        name: its name.
        step: seconds of each point; the first begins at a multiple of them.
        points: how many.
    """

    name: str
    step: int
    points: int

    def start(self, now: float) -> int:
        """The second at which the first point begins."""
        return (int(now) // self.step - self.points + 1) * self.step


RANGES = {
    each.name: each
    for each in (
        Range("15m", 60, 15),
        Range("hour", 60, 60),
        Range("day", 900, 96),
        Range("month", 4 * 3600, 180),
        Range("year", 24 * 3600, 365),
    )
}


def totals(range_name: str, now: float | None = None) -> dict[str, Measured]:
    """What was measured in a range, by family. Raises `StoreUnavailable`.

    Args:
        range_name: one of `RANGES`.
        now: its end in seconds since the epoch, instead of the server's clock.
    """
    chosen, now = _range(range_name), _now(now)
    minutes = figures_of(conf.config()).read(chosen.start(now), now=now).minutes
    found: dict[str, dict[str, int]] = {}
    for fields in minutes.values():
        for field, number in fields.items():
            name, _, family = field.partition("|")
            own = found.setdefault(family, {})
            own[name] = own.get(name, 0) + number
    return {family: Measured.of(numbers) for family, numbers in sorted(found.items())}


def over_time(
    range_name: str, family: str | None = None, now: float | None = None
) -> list[tuple[int, Measured]]:
    """What was measured in each step of a range, with the second at which the step begins.

    Args:
        range_name: one of `RANGES`.
        family: of one family; `None`: of all together.
        now: its end in seconds since the epoch, instead of the server's clock.

    Raises `StoreUnavailable`.
    """
    chosen, now = _range(range_name), _now(now)
    start = chosen.start(now)
    points: list[dict[str, int]] = [{} for _ in range(chosen.points)]
    for minute, fields in figures_of(conf.config()).read(start, now=now).minutes.items():
        at = (minute * 60 - start) // chosen.step
        if 0 <= at < chosen.points:
            _add(points[at], fields, family)
    return [(start + at * chosen.step, Measured.of(numbers)) for at, numbers in enumerate(points)]


def hottest(
    limit: int, family: str | None = None, now: float | None = None
) -> list[tuple[str, int]]:
    """The keys that were read most in this hour and the one before, and about how often.

    They are sampled, one read in 64. Raises `StoreUnavailable`.

    Args:
        limit: how many at most.
        family: of one family; `None`: of all.
    """
    hour = int(_now(now)) // 3600
    found = figures_of(conf.config()).hottest((hour, hour - 1), 1000)
    keys: dict[str, int] = {}
    for member, number in found.items():
        its, _, key = member.decode(errors="replace").partition("\0")
        if family is None or its == family:
            keys[key] = keys.get(key, 0) + number
    return sorted(keys.items(), key=lambda each: (-each[1], each[0]))[:limit]


def _add(numbers: dict[str, int], fields: Fields, family: str | None) -> None:
    for field, number in fields.items():
        name, _, its = field.partition("|")
        if family is None or its == family:
            numbers[name] = numbers.get(name, 0) + number


def _now(now: float | None) -> float:
    return figures_of(conf.config()).time() if now is None else now


def _range(name: str) -> Range:
    try:
        return RANGES[name]
    except KeyError:
        raise ValueError(f"There is no range {name!r}. Use one of: {', '.join(RANGES)}.") from None
