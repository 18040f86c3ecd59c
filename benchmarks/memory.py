"""How much memory warming takes, for few rows and for many."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from .session import main
from .tables import Table

PROCESSES = ("cachepatterns",)
SIZES = (20_000, 100_000)
ROUNDS = 3


@dataclass(frozen=True)
class Grown:
    """By how many bytes the process has grown at most, in the worst of the rounds."""

    rows: int
    workers: int
    bytes: int


def table(reports: Sequence[list[dict[str, Any]]]) -> Table:
    """What is printed."""
    lines: list[Sequence[str]] = [("", "largest growth of the process, MB")]
    for each in (each for report in reports for each in report):
        name = f"  {each['rows']:,} rows, {each['workers']} workers"
        lines.append((name, f"{each['bytes'] / 1e6:,.1f}"))
    return Table(
        "memory: what a process grows by while it warms rows of about a kilobyte (its resident\n"
        "memory after each chunk, less that before; it has warmed 5,000 rows already)",
        lines,
    )


def measure(process: str, rounds: int) -> Iterable[Grown]:
    """The part of the benchmark that belongs to a process."""
    from django_cachepatterns.warming import warm

    from .app.models import WarmedItem
    from .warm import fill

    fill(WarmedItem, max(SIZES))
    warm(WarmedItem, limit=5_000, workers=2)
    for workers in (1, 4):
        for rows in SIZES:
            grown = max(_grown(WarmedItem, rows, workers) for _ in range(rounds))
            yield Grown(rows, workers, grown)


def _grown(model: Any, rows: int, workers: int) -> int:
    import psutil

    from django_cachepatterns.dropping import drop_entries
    from django_cachepatterns.warming import warm

    drop_entries(model)
    own = psutil.Process()
    before, seen = own.memory_info().rss, [0]
    done = warm(
        model,
        limit=rows,
        workers=workers,
        on_progress=lambda _: seen.append(own.memory_info().rss),
    )
    if done.total.filled != rows:
        raise RuntimeError(f"{done} instead of {rows} rows")
    return max(max(seen) - before, 0)


if __name__ == "__main__":
    sys.exit(main(["memory"]))
