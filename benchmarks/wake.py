"""How soon those who wait for another's load have its value."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from statistics import quantiles
from typing import Any

from .crowd import PROCESSES as CROWD
from .crowd import crowd
from .session import main
from .tables import Table

PROCESSES = ("cachepatterns", "cacheops")
THREADS = 8
ROUNDS = 20
BAR = 5.0
"""Milliseconds, of 99 in 100."""


@dataclass(frozen=True)
class Waits:
    """Milliseconds from the end of a load until each of those who waited had the value."""

    name: str
    waits: list[float]
    has_bar: bool


def table(reports: Sequence[list[dict[str, Any]]]) -> Table:
    """What is printed."""
    head = ("", "p50, ms", "p99, ms", "longest, ms", "bar")
    lines = [_line(**waits) for waits in chain.from_iterable(reports)]
    return Table(
        f"wake: {CROWD} processes of {THREADS} readers wait for one load of 200 ms;\n"
        "from the end of the load, so the fill is part of it, until a reader has the value",
        [head, *lines],
    )


def measure(process: str, rounds: int) -> Iterable[Waits]:
    """The part of the benchmark that belongs to a process."""
    from .wanted import CONTENDERS

    # Of get_or_set() nobody waits: everyone loads.
    names = [name for name in CONTENDERS if "get_or_set" not in name]
    waits: dict[str, list[float]] = {name: [] for name in names}
    with crowd(THREADS, first=0) as everyone:
        for name in names:
            everyone.round(name)  # Connections are made.
        for _ in range(rounds):
            for name in names:
                waits[name] += everyone.round(name).waits
    for name in names:
        # A page is 20 rows to make for each of them: that takes longer than to wake.
        yield Waits(name, waits[name], "cachepatterns" in name and "list" not in name)


def _line(name: str, waits: list[float], has_bar: bool) -> Sequence[str]:
    centiles = quantiles(waits, n=100, method="inclusive")
    return (
        f"  {name}",
        f"{centiles[49]:,.1f}",
        f"{centiles[98]:,.1f}",
        f"{max(waits):,.1f}",
        f"<= {BAR:g} {'met' if centiles[98] <= BAR else 'MISSED'}" if has_bar else "",
    )


if __name__ == "__main__":
    sys.exit(main(["wake"]))
