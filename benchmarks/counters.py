"""Increments, against redis-py's own."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

from .placement import placements
from .rounds import Contender, Section, compare
from .session import main
from .tables import Table, ratios

PROCESSES = ("cachepatterns",)
SINGLE = 100
MANY = 1000
ROUNDS = 200


def table(reports: Sequence[list[dict[str, Any]]]) -> Table:
    """What is printed."""
    return ratios(
        f"counters: {SINGLE} increments a round, of 1,000 rows in turn, and increment_many of "
        f"{MANY:,} rows;\nratios of times to redis-py's HINCRBY in the same process and round "
        "(a rate of 0.9 is a ratio of 1.11, 0.8 is 1.25)",
        reports,
    )


def measure(process: str, rounds: int) -> Iterable[Section]:
    """The part of the benchmark that belongs to a process."""
    from django.conf import settings

    from .app.models import CountedPage
    from .reads import bare_client

    client = bare_client()
    name = f"{settings.PREFIX}:bare"
    counter = CountedPage.view_counter

    def bare(pks: range) -> None:
        for pk in pks:
            client.hincrby(name, pk, 1)

    def own(pks: range) -> None:
        for pk in pks:
            counter.increment(pk)

    def strict(pks: range) -> None:
        for pk in pks:
            counter.increment(pk, strict=True)

    def piped(pks: range) -> None:
        pipeline = client.pipeline(transaction=False)
        for pk in pks:
            pipeline.hincrby(name, pk, 1)
        pipeline.execute()

    def many(pks: range) -> None:
        counter.increment_many(dict.fromkeys(pks, 1))

    for placement in placements():
        yield compare(
            f"one by one; {placement}",
            process,
            [
                Contender("redis-py: hincrby()", bare, _some),
                Contender("cachepatterns: increment()", own, _some, bar=1.11),
                Contender("cachepatterns: increment(strict=True)", strict, _some),
            ],
            rounds=rounds,
            operations=SINGLE,
        )
        yield compare(
            f"{MANY:,} at once; {placement}",
            process,
            [
                Contender("redis-py: pipeline of hincrby()", piped, _all),
                Contender("cachepatterns: increment_many()", many, _all, bar=1.25),
            ],
            rounds=rounds,
            operations=MANY,
        )


def _some(number: int) -> range:
    start = number * SINGLE % 1000 + 1
    return range(start, start + SINGLE)


def _all(number: int) -> range:
    return range(1, MANY + 1)


if __name__ == "__main__":
    sys.exit(main(["counters"]))
