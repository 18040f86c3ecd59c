"""Hits while a slow refresh runs in the background, against hits on a fresh value."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Sequence
from statistics import median, quantiles
from typing import Any

from .placement import placements
from .rounds import Measured, Section
from .session import main
from .tables import Table, ratios

PROCESSES = ("cachepatterns",)
ROUNDS = 40
BAR = 1.2
LOAD = 0.2
"""Seconds that a refresh takes."""
SOFT_TTL = 0.3
"""Seconds until a value is stale."""


def table(reports: Sequence[list[dict[str, Any]]]) -> Table:
    """What is printed."""
    return ratios(
        f"refresh: the slowest 1 % of hits under stale_while_revalidate, while a load of "
        f"{LOAD * 1000:g} ms\nruns in the background, to the slowest 1 % of hits on a fresh value, "
        "in the same process and round",
        reports,
    )


def measure(process: str, rounds: int) -> Iterable[Section]:
    """The part of the benchmark that belongs to a process."""
    for placement in placements():
        pairs = list(_rounds(rounds))
        quotients = [stale / fresh for fresh, stale in pairs]
        deciles = quantiles(quotients, n=10, method="inclusive")
        yield Section(
            placement,
            process,
            [
                Measured("fresh: p99 of a round", median(fresh for fresh, _ in pairs)),
                Measured(
                    "during a refresh: p99 of a round",
                    median(stale for _, stale in pairs),
                    median(quotients),
                    deciles[0],
                    deciles[-1],
                    BAR,
                ),
            ],
        )


def _rounds(rounds: int) -> Iterable[tuple[float, float]]:
    """Of each round, the 99th centiles in microseconds: of fresh hits, and during a refresh."""
    from django_cachepatterns import cache_aside

    loading: list[float] = []

    def load(name: str) -> str:
        loading.append(0.0)
        time.sleep(LOAD)
        loading[-1] = time.monotonic()
        return name * 20

    swr = {"ttl": 3600, "stampede": "stale_while_revalidate"}
    fresh = cache_aside(key="fresh:{name}", soft_ttl=3000, **swr)(load)
    stale = cache_aside(key="stale:{name}", soft_ttl=SOFT_TTL, **swr)(load)
    fresh.refresh("a")
    stale.refresh("a")
    for number in range(-2, rounds):  # The first two warm up.
        time.sleep(max(0.0, loading[-1] + SOFT_TTL * 1.2 - time.monotonic()))
        if number % 2:
            first, second = _during_refresh(stale, loading), _timed(fresh, _seconds(LOAD * 0.9))
            pair = second, first
        else:
            pair = _timed(fresh, _seconds(LOAD * 0.9)), _during_refresh(stale, loading)
        if number >= 0:
            yield pair


def _during_refresh(stale: Any, loading: list[float]) -> float:
    loads = len(loading)
    stale("a")  # It finds the value stale, and has it refreshed.
    deadline = time.monotonic() + 2
    while len(loading) == loads:
        if time.monotonic() > deadline:
            raise RuntimeError("No refresh has begun.")
        time.sleep(0.001)
    found = _timed(stale, lambda: loading[-1] == 0.0)
    if len(loading) != loads + 1:
        raise RuntimeError(f"{len(loading) - loads} refreshes of one value.")
    return found


def _seconds(length: float) -> Any:
    ends = time.monotonic() + length
    return lambda: time.monotonic() < ends


def _timed(read: Any, goes_on: Any) -> float:
    """The 99th centile of one read, in microseconds."""
    times = []
    while goes_on():
        began = time.perf_counter_ns()
        read("a")
        times.append(time.perf_counter_ns() - began)
    return quantiles(times, n=100, method="inclusive")[98] / 1000


if __name__ == "__main__":
    sys.exit(main(["refresh"]))
