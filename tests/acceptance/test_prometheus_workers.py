"""Scraped under gunicorn with several workers, the figures are the same whoever answers."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.processes import Program, program
from tests.processes.site import READS
from tests.testapp.models import Item

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True, databases=["default", "other"]),
]

WORKERS, TOGETHER = 4, 8
ROUNDS = 200
"""At most; as many as it takes for each worker to have answered."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Program, str]]:
    """gunicorn, and the address that it serves."""
    said = tmp_path / "said"
    arguments = ("-m", "gunicorn", "--workers", str(WORKERS), "--bind", "127.0.0.1:0")
    with program(
        said,
        *arguments,
        "tests.processes.site:application()",
        PROCESS_METRICS_EVERY=0.1,
        XDG_RUNTIME_DIR=tmp_path,  # Where gunicorn puts its control socket.
        PROCESS_URLS="tests.processes.site",
    ) as running:
        running.wait_for("Listening at")
        address = re.search(r"Listening at: (http://\S+)", running.said())
        assert address is not None
        yield running, address[1]


def get(address: str) -> tuple[str, str]:
    """What is answered, and by which worker where that is said."""
    with urlopen(address, timeout=30) as response:
        return response.read().decode(), response.headers.get("X-Worker", "")


def reads_of(text: str) -> dict[str, float]:
    """Reads of items by their outcome."""
    return {
        sample.labels["outcome"]: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "cachepatterns_reads_total" and sample.labels["policy"] == "testapp.item"
    }


def until_all_have_answered(pool: ThreadPoolExecutor, address: str) -> list[tuple[str, str]]:
    """Ask until each worker has answered. Returns every answer."""
    answers: list[tuple[str, str]] = []
    for _ in range(ROUNDS):
        answers += pool.map(get, [address] * TOGETHER)
        if len({worker or text for text, worker in answers}) >= WORKERS:
            return answers
    raise AssertionError(f"Only some workers ever answered, in {len(answers)} requests.")


def test_every_worker_tells_the_sum_of_all(site: tuple[Program, str]) -> None:
    running, address = site
    item = Item.objects.create(name="i", slug="i")
    with ThreadPoolExecutor(TOGETHER) as pool:
        answers = until_all_have_answered(pool, f"{address}/read/{item.pk}/")
        asked = len(answers) * READS

        def told() -> float:
            return sum(reads_of(get(f"{address}/metrics/")[0]).values())

        running.wait_until(lambda: told() >= asked)
        scraped = until_all_have_answered(pool, f"{address}/metrics/")
        found = [reads_of(text) for text, _ in scraped]
        assert {sum(each.values()) for each in found} == {asked}
        assert all(each == found[0] for each in found)
        # A worker that is killed takes nothing back.
        victim = int(answers[0][0])
        os.kill(victim, signal.SIGKILL)
        running.wait_until(lambda: f"(pid:{victim})" in running.said())
        assert reads_of(get(f"{address}/metrics/")[0]) == found[0]
