"""Row writes under a Zipf load: behind, against `update(F("views") + 1)`.

Counted by PostgreSQL itself, not timed. How many fewer they are depends on how many increments come
between two flushes and on how many rows they fall, so both are varied.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from random import Random
from typing import Any

from .session import main
from .tables import Table

PROCESSES = ("cachepatterns",)
ROUNDS = 1
EXPONENT = 1.1
LOADS = [
    (1_000, 1_000, 5),
    (1_000, 10_000, 5),
    (1_000, 20_000, 5),
    (1_000, 1_000, 60),
    (10_000, 10_000, 5),
    (10_000, 10_000, 60),
]
"""Rows, increments a second, and seconds between flushes."""
WINDOWS = 2


@dataclass(frozen=True)
class Counted:
    """Row writes of one load."""

    rows: int
    rate: int
    seconds: int
    at_once: int
    behind: int


def table(reports: Sequence[list[dict[str, Any]]]) -> Table:
    """What is printed."""
    lines: list[Sequence[str]] = [
        ("rows, increments, flushes", "increments", "row writes at once", "behind", "fewer", "bar")
    ]
    for each in (each for report in reports for each in report):
        fewer = each["at_once"] / each["behind"]
        lines.append(
            (
                f"{each['rows']:,} rows, {each['rate']:,}/s, every {each['seconds']} s",
                f"{WINDOWS * each['seconds'] * each['rate']:,}",
                f"{each['at_once']:,}",
                f"{each['behind']:,}",
                f"{fewer:.0f} times",
                f">= 50 {'met' if fewer >= 50 else 'MISSED'}",
            )
        )
    return Table(
        f"zipf: increments of rows by Zipf's law (exponent {EXPONENT}), flushed after as many as "
        "come in the time;\nrow writes as PostgreSQL counts them (n_tup_upd)",
        lines,
    )


def measure(process: str, rounds: int) -> Iterable[Counted]:
    """The part of the benchmark that belongs to a process."""
    from .app.models import CountedPage, PlainPage

    most = max(rows for rows, _, _ in LOADS)
    for model in (PlainPage, CountedPage):
        model.objects.bulk_create(model(title="page") for _ in range(most))
    for rows, rate, seconds in LOADS:
        number = rate * seconds
        yield Counted(rows, rate, seconds, _at_once(rows, number), _behind(rows, number))


def _picks(model: Any, rows: int, number: int) -> Iterator[list[int]]:
    """The rows that are counted for, in each window between two flushes; the same for all."""
    random = Random(7)
    pks = list(model.objects.order_by("pk").values_list("pk", flat=True)[:rows])
    weights = list(accumulate(1 / rank**EXPONENT for rank in range(1, rows + 1)))
    for _ in range(WINDOWS):
        yield random.choices(pks, cum_weights=weights, k=number)


def _at_once(rows: int, number: int) -> int:
    from django.db.models import F

    from .app.models import PlainPage

    before = _written(PlainPage)
    # One UPDATE in a hundred is enough: each is one row write, as the count shows.
    done = 0
    for pks in _picks(PlainPage, rows, number):
        for pk in pks[::100]:
            PlainPage.objects.filter(pk=pk).update(views=F("views") + 1)
            done += 1
    written = _written(PlainPage) - before
    if written != done:
        raise RuntimeError(f"{done} updates were {written} row writes")
    return written * 100


def _behind(rows: int, number: int) -> int:
    from .app.models import CountedPage

    before, counter = _written(CountedPage), CountedPage.view_counter
    for pks in _picks(CountedPage, rows, number):
        for at in range(0, len(pks), 1000):
            counter.increment_many(Counter(pks[at : at + 1000]))
        counter.flush()
    if counter.pending():
        raise RuntimeError("something waits still")
    return _written(CountedPage) - before


def _written(model: Any) -> int:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute(
            "SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = %s",
            [model._meta.db_table],
        )
        return int(cursor.fetchone()[0])


if __name__ == "__main__":
    sys.exit(main(["zipf"]))
