"""The resolutions in which figures are kept: minutes for a day, hours for a month, days for a year.

Each has blocks of slots. A block is a hash of two kinds: by family the course of each number over
the slots, and by family its sum. One more family is all of them together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

Series = dict[str, list[int]]
"""Numbers by name, slot by slot; the zeros at the end are left out."""
Numbers = dict[str, int]
"""Numbers by name."""

ALL = "\0"
"""The family that stands for all."""


class Level(NamedTuple):
    """One resolution.

    Args:
        name: part of the keys.
        slot: seconds of a slot.
        slots: of a block.
        keep: seconds for which a block is kept after it was written last.
    """

    name: str
    slot: int
    slots: int
    keep: int

    @property
    def block(self) -> int:
        """Seconds of a block."""
        return self.slot * self.slots

    def block_of(self, second: float) -> int:
        """The number of the block that a second is in."""
        return int(second) // self.block

    def slot_of(self, second: float) -> int:
        """The number of its slot in that block."""
        return int(second) % self.block // self.slot


DAYS = 24 * 3600
MINUTE = Level("minute", 60, 60, 26 * 3600)
HOUR = Level("hour", 3600, 24, 32 * DAYS)
DAY = Level("day", DAYS, 30, 370 * DAYS)
LEVELS = (MINUTE, HOUR, DAY)


def level_for(step: int) -> Level:
    """The coarsest resolution that has points of so many seconds."""
    return next(level for level in reversed(LEVELS) if step % level.slot == 0)


def put(series: Series, slot: int, numbers: Mapping[str, int], *, more: bool = False) -> None:
    """Say what the numbers of a slot are, or by how much more they are than they were."""
    for name, number in numbers.items():
        column = series.setdefault(name, [])
        if len(column) <= slot:
            column += [0] * (slot + 1 - len(column))
        column[slot] = number + (column[slot] if more else 0)


def sums(series: Mapping[str, Iterable[int]]) -> Numbers:
    """The sum of each number over all slots."""
    return {name: total for name, column in series.items() if (total := sum(column))}


def add(into: Numbers, numbers: Mapping[str, int]) -> None:
    """Add numbers to others."""
    for name, number in numbers.items():
        into[name] = into.get(name, 0) + number


pack = msgspec.msgpack.Encoder().encode
_series, _numbers = msgspec.msgpack.Decoder(Series), msgspec.msgpack.Decoder(Numbers)


def series_of(data: bytes | None) -> Series:
    """A course as it was packed; an empty one where it was not, or is not there."""
    try:
        return _series.decode(data) if data else {}
    except msgspec.DecodeError:
        return {}


def numbers_of(data: bytes | None) -> Numbers:
    """Sums as they were packed; the same."""
    try:
        return _numbers.decode(data) if data else {}
    except msgspec.DecodeError:
        return {}


def by_family(fields: Mapping[str, int]) -> dict[str, Numbers]:
    """The figures of a minute as processes have sent them, by family."""
    found: dict[str, Numbers] = {}
    for field, number in fields.items():
        name, _, family = field.partition("|")
        found.setdefault(family, {})[name] = number
    return found
