"""Reports of many processes, added up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from .reader import Reads
from .writer import Writes

# How a read ended, as the library counts it; the first two did without the database.
SERVED = ("hit", "negative")
UNSERVED = ("miss", "wait", "bypass")


@dataclass(frozen=True, slots=True)
class Figures:
    """What a round comes to."""

    reads_per_second: float
    p50: float
    p99: float
    reads: int
    statements: int
    hit_rate: float | None
    checked: int
    stale: int
    stampede_loads: int
    committed: int
    rolled_back: int


def figures(reads: list[Reads], writes: list[Writes]) -> Figures:
    """Add the reports of a round up."""
    latencies = sorted(latency for each in reads for latency in each.latencies)
    return Figures(
        reads_per_second=sum(len(each.latencies) / each.seconds for each in reads),
        p50=quantile(latencies, 0.50),
        p99=quantile(latencies, 0.99),
        reads=len(latencies),
        statements=sum(each.statements for each in reads),
        hit_rate=hit_rate(reads),
        checked=sum(each.checked for each in reads),
        stale=sum(each.stale for each in reads),
        stampede_loads=overlapping(load for each in reads for load in each.loads),
        committed=sum(each.committed for each in writes),
        rolled_back=sum(each.rolled_back for each in writes),
    )


def quantile(ordered: list[float], share: float) -> float:
    """The value that this share of an ordered list does not exceed."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def hit_rate(reads: list[Reads]) -> float | None:
    """The share of reads that the cache answered, or None where it was not asked."""
    outcomes: Counter[str] = Counter()
    for each in reads:
        outcomes.update(each.outcomes)
    served = sum(outcomes[name] for name in SERVED)
    asked = served + sum(outcomes[name] for name in UNSERVED)
    return served / asked if served else None


def overlapping(loads: Iterable[tuple[int, float, float]]) -> int:
    """How many loads began while the same row was being loaded: all but the first of each crowd."""
    busy_until: dict[int, float] = {}
    redundant = 0
    for pk, began, ended in sorted(loads, key=lambda load: load[1]):
        redundant += began < busy_until.get(pk, 0.0)
        busy_until[pk] = max(ended, busy_until.get(pk, 0.0))
    return redundant
