"""Live values, against reading the column by a query."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

from .placement import AS_PLACED
from .rounds import Contender, Section, compare
from .session import main
from .tables import Table, ratios

PROCESSES = ("cachepatterns",)
READS = 50
ROUNDS = 100


def table(reports: Sequence[list[dict[str, Any]]]) -> Table:
    """What is printed."""
    return ratios(
        f"live: counts of {READS} rows a round, each with something that waits;\n"
        "ratios to reading the column by a query, in the same process and round",
        reports,
    )


def measure(process: str, rounds: int) -> Iterable[Section]:
    """The part of the benchmark that belongs to a process."""
    from .app.models import CountedPage, PlainPage, UncachedPage

    for model in (PlainPage, CountedPage, UncachedPage):
        model.objects.bulk_create(model(title="page") for _ in range(READS))
    pks = {
        model: list(model.objects.values_list("pk", flat=True)[:READS])
        for model in (PlainPage, CountedPage, UncachedPage)
    }
    for model in (CountedPage, UncachedPage):
        model.view_counter.increment_many(dict.fromkeys(pks[model], 1))
    list(CountedPage.objects.filter(pk__in=pks[CountedPage]))

    def query(_: Any) -> None:
        for pk in pks[PlainPage]:
            PlainPage.objects.values_list("views", flat=True).get(pk=pk)

    def together(_: Any) -> None:
        dict(PlainPage.objects.filter(pk__in=pks[PlainPage]).values_list("pk", "views"))

    def one_by_one(model: Any) -> Any:
        return lambda _: [model.view_counter.values([pk]) for pk in pks[model]]

    def at_once(model: Any) -> Any:
        return lambda _: model.view_counter.values(pks[model])

    for name, baseline, read, operations in (
        ("one by one", query, one_by_one, READS),
        (f"{READS} at once", together, at_once, 1),
    ):
        yield compare(
            f"{name}; {AS_PLACED}",
            process,
            [
                Contender("Django: values_list()", baseline),
                Contender("cachepatterns: values(), rows cached", read(CountedPage)),
                Contender("cachepatterns: values(), not cached", read(UncachedPage)),
            ],
            rounds=rounds,
            operations=operations,
        )


if __name__ == "__main__":
    sys.exit(main(["live"]))
