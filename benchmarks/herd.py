"""A thousand misses of one value at once: how often it is loaded, and how long all wait."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from statistics import median
from typing import Any

from .crowd import PROCESSES as CROWD
from .crowd import crowd
from .session import main
from .tables import Table

PROCESSES = ("cachepatterns", "cacheops")
THREADS = 250
ROUNDS = 5
BAR = 1
"""Loads."""


@dataclass(frozen=True)
class Herd:
    """What came of a contender: of each round, the loads and the seconds until all were done."""

    name: str
    loads: list[int]
    seconds: list[float]
    own: bool


def table(reports: Sequence[list[dict[str, Any]]]) -> Table:
    """What is printed."""
    head = ("", "loads", "min..max", "until the last, ms", "min..max", "bar")
    lines = [_line(**herd) for herd in chain.from_iterable(reports)]
    return Table(
        f"herd: {CROWD * THREADS:,} readers in {CROWD} processes miss one value whose load takes "
        f"200 ms;\nmedians of the rounds",
        [head, *lines],
    )


def measure(process: str, rounds: int) -> Iterable[Herd]:
    """The part of the benchmark that belongs to a process."""
    from .wanted import CONTENDERS

    with crowd(THREADS, first=2000) as everyone:
        for name in CONTENDERS:
            everyone.round(name)  # Connections are made.
        found = {name: [] for name in CONTENDERS}
        for _ in range(rounds):
            for name, own in found.items():
                own.append(everyone.round(name))
    for name, own in found.items():
        yield Herd(
            name,
            [each.loads for each in own],
            [each.seconds for each in own],
            "cachepatterns" in name,
        )


def _line(name: str, loads: list[int], seconds: list[float], own: bool) -> Sequence[str]:
    return (
        f"  {name}",
        f"{median(loads):,.0f}",
        f"{min(loads):,}..{max(loads):,}",
        f"{median(seconds) * 1000:,.0f}",
        f"{min(seconds) * 1000:,.0f}..{max(seconds) * 1000:,.0f}",
        f"= {BAR} {'met' if set(loads) == {BAR} else 'MISSED'}" if own else "",
    )


if __name__ == "__main__":
    sys.exit(main(["herd"]))
