"""Reads with metrics on, against reads with metrics off."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from .placement import placements
from .rounds import Contender, Section, compare
from .session import main
from .tables import Table, ratios

PROCESSES = ("cachepatterns",)
READS = 100
ROUNDS = 300
BAR = 1.03


def table(reports: Sequence[list[dict[str, Any]]]) -> Table:
    """What is printed."""
    return ratios(
        f"metrics: hits with METRICS on, {READS} a round, keys rotated over 1,000 rows; ratios to "
        "METRICS off,\nin the same process and round; `off, again` shows what the machine adds",
        reports,
    )


def measure(process: str, rounds: int) -> Iterable[Section]:
    """The part of the benchmark that belongs to a process."""
    from .reads import fill_entries

    fill_entries()
    for placement in placements():
        for name, (read, most) in _reads().items():
            yield compare(
                f"{name}; {placement}",
                process,
                [
                    _contender("off", read, most, metrics=False),
                    _contender("on", read, most, metrics=True, bar=BAR),
                    _contender("off, again", read, most, metrics=False),
                ],
                rounds=rounds,
                operations=most,
            )


def _contender(
    name: str,
    read: Callable[[int], object],
    most: int,
    *,
    metrics: bool,
    bar: float | None = None,
) -> Contender:
    from django.conf import settings

    from .settings import CACHEPATTERNS

    chosen = {**CACHEPATTERNS, "METRICS": metrics}

    def prepare(number: int) -> range:
        # A change of the settings makes everything anew; that is not what is measured.
        settings.CACHEPATTERNS = chosen
        start = number * most
        for at in range(start, start + most):
            read(at)
        return range(start, start + most)

    def run(batch: range) -> None:
        for at in batch:
            read(at)

    return Contender(name, run, prepare, bar=bar)


def _reads() -> dict[str, tuple[Callable[[int], object], int]]:
    """What is read, by the number of its turn, and how often in a round."""
    from django_cachepatterns import cache_aside

    from .app.models import CachedItem
    from .reads import KEYS
    from .rows import values

    pks = list(KEYS)
    slugs = [values(pk)["slug"] for pk in pks]
    pages = [pks[start : start + 50] for start in range(0, 950, 50)]
    get, in_bulk = CachedItem.objects.get, CachedItem.objects.in_bulk
    listed = [CachedItem.objects.filter(pk__lt=end).order_by("pk")[:20] for end in (50, 500)]

    @cache_aside("benchmark:{at}", ttl=3600)
    def function(at: int) -> dict[str, int]:
        return {"at": at}

    return {
        "get(pk=)": (lambda at: get(pk=pks[at % 1000]), READS),
        "get(slug=)": (lambda at: get(slug=slugs[at % 1000]), READS),
        "in_bulk() of 50": (lambda at: in_bulk(pages[at % len(pages)]), READS // 10),
        "list of 20": (lambda at: list(listed[at % 2].cache()), READS // 10),
        "count()": (lambda at: listed[at % 2].cache().count(), READS // 5),
        "@cache_aside": (lambda at: function(at % 100), READS),
    }


if __name__ == "__main__":
    sys.exit(main(["metrics"]))
