"""What processes have counted is on the server when they have ended: all of it, and once."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from django_cachepatterns.metrics import history
from django_cachepatterns.metrics.measured import Measured
from tests.processes import program
from tests.processes.measuring import FAMILY, PAGE, calls_made, keys_asked
from tests.testapp.models import Item

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

THREADS, READS = 8, 250
OFTEN = 0.01
"""Seconds between two flushes: many of them fall among the reads."""


@pytest.fixture
def first() -> int:
    """The first of ten rows that are cached, as the absence of ten others is."""
    items = [Item.objects.create(name="item", slug=f"item-{at}") for at in range(PAGE)]
    for item in items:
        Item.objects.get(pk=item.pk)
    for number in range(PAGE):
        with suppress(Item.DoesNotExist):
            Item.objects.get(pk=-1 - number)
    return items[0].pk


def measured() -> Measured:
    return history.totals("hour").get(FAMILY, Measured())


def run_all(endings: Sequence[str], first: int, folder: Path, **changes: object) -> None:
    """Run programs beside each other to their ends."""
    with ExitStack() as stack:
        running = [
            stack.enter_context(started(ending, first, folder / f"{at}", **changes))
            for at, ending in enumerate(endings)
        ]
        for each in running:
            each.wait()


def started(ending: str, first: int, said: Path, **changes: object) -> object:
    arguments = ("-m", "tests.processes.measuring", ending, str(first), str(THREADS), str(READS))
    return program(said, *arguments, PROCESS_METRICS_EVERY=OFTEN, **changes)


@pytest.mark.parametrize(
    "endings",
    [
        ("returns", "exits", "raises", "leaves_threads_running"),
        ("forks", "process_by_fork", "process_by_spawn", "exits"),
    ],
    ids=["of their own", "with children"],
)
def test_four_processes_of_eight_threads(
    first: int, endings: Sequence[str], tmp_path: Path
) -> None:
    run_all(endings, first, tmp_path)
    found = measured()
    asked = keys_asked(THREADS * len(endings), READS)
    assert {name: found.counts.get(name) for name in asked} == asked
    assert found.reads == found.served == sum(asked.values())
    assert found.saved == calls_made(THREADS * len(endings), READS)
