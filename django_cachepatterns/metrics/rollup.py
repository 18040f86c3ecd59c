"""Rolling up: minutes that are over become slots of blocks, and these hours, and days.

A minute is over when the server's clock says so, and nothing is added to it any more. What it says
is put into its slot, not added to it, and a coarser slot is always the sum of the finer ones: so
rolling up twice, late, or by several at once changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise

from .. import conf
from ..keys import MetricsKeys
from ..stores import figures_of
from ..stores.figures import Fields, Put, RedisFigures
from . import levels
from .levels import ALL, MINUTE, Level, Numbers, Series

MOST = 60
"""Minutes that are rolled up at once."""
_TRIES = 100

Blocks = dict[tuple[Level, int], dict[str, Series]]
"""Courses by family, by the number of the block."""
Changed = tuple[Level, int, str]
"""The course of a family in a block."""


def roll_up(now: float | None = None) -> int:
    """Roll up the minutes that are over. Returns how many there were with figures in them.

    Call it every minute or so: by the Celery task `django_cachepatterns.roll_up_metrics`, or from
    whatever else runs at times. Where nobody does, a process does it every ten minutes.

    Args:
        now: in seconds since the epoch, instead of the server's clock.

    Raises `StoreUnavailable`, and `PolicyError` where the settings name no store.
    """
    config = conf.config()
    figures, keys = figures_of(config), config.metrics_keys()
    done = 0
    for _ in range(_TRIES):
        rolled = _some(figures, keys, now)
        if rolled is None:
            continue  # Another was first, and has left others.
        done += rolled
        if rolled < MOST:
            break
    return done


def _some(figures: RedisFigures, keys: MetricsKeys, now: float | None) -> int | None:
    """Roll up some minutes; `None` where another does so."""
    seen = figures.read(0, now=now, most=MOST)
    over = {minute: each for minute, each in seen.minutes.items() if minute < seen.minute}
    until = max(over) + 1 if len(over) >= MOST else seen.minute
    if not over and seen.rolled >= until:
        return 0
    blocks = _blocks(figures, keys, over)
    puts = list(_puts(keys, blocks, _fill(blocks, over)))
    return len(over) if figures.roll(seen.rolled, until, over, puts) else None


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
            _put(blocks, changed, MINUTE, second, family, numbers)
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
) -> None:
    block = level.block_of(second)
    series = blocks[level, block].setdefault(family, {})
    levels.put(series, level.slot_of(second), numbers)
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
