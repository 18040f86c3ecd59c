"""Interleaved rounds: each contender once a round, compared within the round.

The speed of a machine drifts by more than what is measured here. Contenders that are timed
moments apart drift together, so the ratio of each round says more than any number of seconds.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from time import perf_counter_ns
from typing import Any


def _nothing(_: Any) -> None:
    return None


@dataclass(frozen=True)
class Contender:
    """Something to be timed.

    Args:
        name: as it is printed.
        run: the timed part; takes what `prepare` returned.
        prepare: takes the number of the round.
        tidy: takes what `prepare` returned.
        bar: the ratio to the baseline that it should stay under, if there is one.
    """

    name: str
    run: Callable[[Any], object]
    prepare: Callable[[int], Any] = _nothing
    tidy: Callable[[Any], object] = _nothing
    bar: float | None = None


@dataclass(frozen=True)
class Measured:
    """What came of a contender. Times are microseconds for one operation."""

    name: str
    time: float
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    bar: float | None = None


@dataclass(frozen=True)
class Section:
    """Contenders that were timed together, the baseline first."""

    title: str
    process: str
    measured: list[Measured]


def compare(
    title: str,
    process: str,
    contenders: Sequence[Contender],
    *,
    rounds: int,
    operations: int,
) -> Section:
    """Time contenders against the first of them.

    Args:
        title: of the section.
        process: whose process this is.
        contenders: the baseline, and the others.
        rounds: how many are counted; some more come before, to warm up.
        operations: how many one `run` does.
    """
    times = _interleaved(contenders, rounds)
    baseline = times[0]
    measured = [Measured(contenders[0].name, median(baseline) / operations / 1000)]
    for contender, own in zip(contenders[1:], times[1:], strict=True):
        ratios = [mine / base for mine, base in zip(own, baseline, strict=True)]
        deciles = quantiles(ratios, n=10, method="inclusive")
        measured.append(
            Measured(
                contender.name,
                median(own) / operations / 1000,
                median(ratios),
                deciles[0],
                deciles[-1],
                contender.bar,
            )
        )
    return Section(title, process, measured)


def _interleaved(contenders: Sequence[Contender], rounds: int) -> list[list[int]]:
    """Nanoseconds of each contender in each round. Whose turn it is first goes round, too."""
    times: list[list[int]] = [[] for _ in contenders]
    warm_up = max(2, rounds // 10)
    gc.collect()
    gc.freeze()
    for number in range(warm_up + rounds):
        for turn in range(len(contenders)):
            at = (number + turn) % len(contenders)
            spent = _timed(contenders[at], number)
            if number >= warm_up:
                times[at].append(spent)
    gc.unfreeze()
    return times


def _timed(contender: Contender, number: int) -> int:
    argument = contender.prepare(number)
    run = contender.run
    gc.collect()
    gc.disable()
    try:
        started = perf_counter_ns()
        run(argument)
        spent = perf_counter_ns() - started
    finally:
        gc.enable()
    contender.tidy(argument)
    return spent
