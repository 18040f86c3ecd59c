"""What all processes have sent: sums and courses over the last minutes, hours, days."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from .. import conf
from ..stores import figures_of
from ..stores.figures import Fields, Figures
from . import levels
from .levels import Numbers, Series
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


_TRIES = 5


def totals(range_name: str, now: float | None = None) -> dict[str, Measured]:
    """What was measured in a range, by family. Raises `StoreUnavailable`.

    Args:
        range_name: one of `RANGES`.
        now: its end in seconds since the epoch, instead of the server's clock.
    """
    span = _Span(_range(range_name), now)
    level, keys = span.level, conf.config().metrics_keys()
    names = [
        (keys.block if number in span.parts else keys.sums)(level.name, number)
        for number in span.blocks
    ]
    read = _read(span, names, None, now)
    found: dict[str, Numbers] = {}
    for number, block in zip(span.blocks, read.blocks, strict=True):
        for name, data in block.items():
            own = found.setdefault(name.decode(), {})
            if number in span.parts:
                levels.add(own, levels.sums(span.cut(number, levels.series_of(data))))
            else:
                levels.add(own, levels.numbers_of(data))
    found.pop(levels.ALL, None)
    for _, fields in span.minutes(read):
        for family, numbers in levels.by_family(fields).items():
            levels.add(found.setdefault(family, {}), numbers)
    return {family: Measured.of(numbers) for family, numbers in sorted(found.items()) if numbers}


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
    span = _Span(_range(range_name), now)
    level, step, points = span.level, span.range.step, span.range.points
    keys = conf.config().metrics_keys()
    names = [keys.block(level.name, number) for number in span.blocks]
    field = levels.ALL if family is None else family
    read = _read(span, names, field, now)
    found: list[Numbers] = [{} for _ in range(points)]
    for number, data in zip(span.blocks, read.blocks, strict=True):
        first = (number * level.block - span.start) // level.slot
        each = step // level.slot
        for name, column in levels.series_of(data).items():
            for slot, value in enumerate(column, first):
                if value and 0 <= slot < each * points:
                    point = found[slot // each]
                    point[name] = point.get(name, 0) + value
    for minute, fields in span.minutes(read):
        point = found[(minute * 60 - span.start) // step]
        for name, value in _of(fields, family):
            point[name] = point.get(name, 0) + value
    return [(span.start + at * step, Measured.of(each)) for at, each in enumerate(found)]


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


class _Span:
    """A range that ends now, in the blocks of its level.

    Args:
        chosen: the range.
        now: its end; `None`: the server's clock says it.
    """

    def __init__(self, chosen: Range, now: float | None) -> None:
        self.range = chosen
        self.end = int(_now(now))
        self.start = chosen.start(self.end)
        self.level = levels.level_for(chosen.step)
        first, last = self.level.block_of(self.start), self.level.block_of(self.end)
        self.blocks = range(first, last + 1)
        self.parts = set()
        """The blocks that are in the range only in part; of the others the sums will do."""
        if self.start % self.level.block:
            self.parts.add(first)
        if now is not None:
            self.parts.add(last)

    def cut(self, number: int, series: Series) -> Series:
        """The part of a block that is in the range."""
        begins = number * self.level.block
        first = max(0, self.start - begins) // self.level.slot
        last = (self.end - begins) // self.level.slot
        return {name: column[first : last + 1] for name, column in series.items()}

    def minutes(self, read: Figures) -> Iterator[tuple[int, Fields]]:
        """The minutes of the range that are not rolled up."""
        for minute, fields in read.minutes.items():
            if self.start <= minute * 60 <= self.end:
                yield minute, fields


def _read(span: _Span, names: Sequence[bytes], field: str | None, now: float | None) -> Figures:
    """What is rolled up and what is not, in as many answers as it takes, of one moment."""
    figures = figures_of(conf.config())
    for _ in range(_TRIES):
        read = rest = figures.read(span.start, names, field, now=now)
        while rest.next and rest.rolled == read.rolled:
            rest = figures.read(rest.next * 60, now=now)
            read.minutes.update(rest.minutes)
        if rest.rolled == read.rolled:
            break  # Else something was rolled up meanwhile, and may be missing, or there twice.
    return read


def _of(fields: Fields, family: str | None) -> Iterator[tuple[str, int]]:
    for field, number in fields.items():
        name, _, its = field.partition("|")
        if family is None or its == family:
            yield name, number


def _now(now: float | None) -> float:
    return figures_of(conf.config()).time() if now is None else now


def _range(name: str) -> Range:
    try:
        return RANGES[name]
    except KeyError:
        raise ValueError(f"There is no range {name!r}. Use one of: {', '.join(RANGES)}.") from None
