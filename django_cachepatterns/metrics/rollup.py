"""Rolling up: minutes that are over become slots of blocks, and these hours, and days.

A minute is over when the server's clock says so. What it says is added to its slot (there may be
something, where that clock was set back), and in the same step it is dropped; a coarser slot is
always the sum of the finer ones. So rolling up twice, late, or by several at once changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from .. import conf
from ..keys import MetricsKeys
from ..stores import figures_of
from ..stores.figures import Fields, Put, RedisFigures
from . import levels
from .levels import ALL, MINUTE, Level, Numbers, Series

_TRIES = 2000

Blocks = dict[tuple[Level, int], dict[str, Series]]
"""Courses by family, by the number of the block."""
Changed = tuple[Level, int, str]
"""The course of a family in a block."""


def roll_up(now: float | None = None) -> int:
    """Roll up the minutes that are over. Returns how many there were with figures in them.

    Call it every minute or so: by the Celery task `django_cachepatterns.roll_up_metrics`, or from
    whatever else runs at times. Where nobody does, some process does it every few minutes.

    Args:
        now: in seconds since the epoch, instead of the server's clock.

    Raises `StoreUnavailable`, and `PolicyError` where the settings name no store.
    """
    config = conf.config()
    figures, keys = figures_of(config), config.metrics_keys()
    done = 0
    for _ in range(_TRIES):
        rolled = _some(figures, keys, now)
        done += len(rolled.minutes)
        if rolled.is_all:
            break
    return done


class _Rolled(NamedTuple):
    """Minutes that were rolled up, and whether those are all that were to be."""

    minutes: Sequence[int]
    is_all: bool


def _some(figures: RedisFigures, keys: MetricsKeys, now: float | None) -> _Rolled:
    """Roll up some minutes."""
    seen = figures.read(0, now=now)
    over = {minute: each for minute, each in seen.minutes.items() if minute < seen.minute}
    until = min(seen.next or seen.minute, seen.minute)
    if not over and seen.rolled >= until:
        return _Rolled((), True)
    blocks = _blocks(figures, keys, over)
    puts = list(_puts(keys, blocks, _fill(blocks, over)))
    if not figures.roll(seen.rolled, until, over, puts):
        return _Rolled((), False)  # Another was first, and may have left some.
    return _Rolled(tuple(over), until >= seen.minute)


def _blocks(figures: RedisFigures, keys: MetricsKeys, minutes: Mapping[int, Fields]) -> Blocks:
    """The blocks that minutes belong to, as they are."""
    wanted = list(
        dict.fromkeys(
            (level, level.block_of(minute * 60)) for level in levels.LEVELS for minute in minutes
        )
    )
    names = [keys.block(level.name, number) for level, number in wanted]
    found = figures.read(2**40, names).blocks if names else []
    return {
        each: {family.decode(): levels.series_of(data) for family, data in block.items()}
        for each, block in zip(wanted, found, strict=True)
    }


def _fill(blocks: Blocks, minutes: Mapping[int, Fields]) -> set[Changed]:
    """Put minutes into their slots, and sums into the coarser ones. Returns what has changed."""
    changed: dict[Changed, None] = {}
    for minute, fields in minutes.items():
        second = minute * 60
        for family, numbers in _with_all(levels.by_family(fields)).items():
            _put(blocks, changed, MINUTE, second, family, numbers, more=True)
    for finer, coarser in pairwise(levels.LEVELS):
        for level, block, family in list(changed):
            if level is finer:
                total = levels.sums(blocks[finer, block][family])
                _put(blocks, changed, coarser, block * finer.block, family, total)
    return set(changed)


def _put(
    blocks: Blocks,
    changed: dict[Changed, None],
    level: Level,
    second: int,
    family: str,
    numbers: Numbers,
    *,
    more: bool = False,
) -> None:
    block = level.block_of(second)
    series = blocks[level, block].setdefault(family, {})
    levels.put(series, level.slot_of(second), numbers, more=more)
    changed[level, block, family] = None


def _with_all(families: dict[str, Numbers]) -> dict[str, Numbers]:
    everything: Numbers = {}
    for numbers in families.values():
        levels.add(everything, numbers)
    return {**families, ALL: everything}


def _puts(keys: MetricsKeys, blocks: Blocks, changed: set[Changed]) -> Iterator[Put]:
    for level, number, family in changed:
        series, field = blocks[level, number][family], family.encode()
        yield Put(keys.block(level.name, number), level.keep, field, levels.pack(series))
        total = levels.pack(levels.sums(series))
        yield Put(keys.sums(level.name, number), level.keep, field, total)
