"""What processes have counted is on the server when they have ended: all of it, and once."""

from __future__ import annotations

import os
import signal
import socket
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, suppress
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from celery import Celery
from django.conf import settings

from django_cachepatterns.metrics import history
from django_cachepatterns.metrics.measured import Measured
from tests.processes import Program, program, run
from tests.processes.measuring import FAMILY, PAGE, calls_made, keys_asked
from tests.testapp.models import Item

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True, databases=["default", "other"]),
]

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


def run_all(endings: Sequence[str], first: int, folder: Path, **changes: Any) -> None:
    """Run programs beside each other to their ends."""
    with ExitStack() as stack:
        running = [
            stack.enter_context(started(ending, first, folder / f"{at}", **changes))
            for at, ending in enumerate(endings)
        ]
        for each in running:
            each.wait()


def started(
    ending: str, first: int, said: Path, *, every: float = OFTEN, **changes: Any
) -> AbstractContextManager[Program]:
    arguments = ("-m", "tests.processes.measuring", ending, str(first), str(THREADS), str(READS))
    return program(said, *arguments, PROCESS_METRICS_EVERY=every, **changes)


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


@pytest.mark.parametrize(
    ("sabotage", "ending"),
    [
        ("sends nothing at its end", "returns"),
        ("counts what its parent has counted", "forks"),
    ],
)
def test_what_keeps_it_exact_is_missed(
    first: int, tmp_path: Path, sabotage: str, ending: str
) -> None:
    run_all([ending], first, tmp_path, every=3600, PROCESS_SABOTAGE=sabotage)
    assert measured().reads != sum(keys_asked(THREADS, READS).values())


def test_a_process_that_is_killed_has_sent_all_but_the_last(first: int, tmp_path: Path) -> None:
    """What was counted when a flush began is there when that is over, whoever is killed then."""
    with started("flushes_aloud", first, tmp_path / "said", every=0.1) as victim:
        victim.wait_until(lambda: victim.said().count("flushed") >= 5)
        victim.signal(signal.SIGKILL)
        victim.wait()
        flushed = [int(line.split()[1]) for line in victim.said().splitlines()]
    assert flushed[-1] > 0
    assert measured().reads >= flushed[-1]


def test_what_was_counted_is_sent_without_an_end(first: int, tmp_path: Path) -> None:
    """By the thread, while the process lives on; once, however often it looks for news."""
    asked = sum(keys_asked(THREADS, READS).values())
    reading, writing = os.pipe()
    with (
        os.fdopen(writing, "w") as orders,
        started("is_told", first, tmp_path / "said", every=0.1, stdin=reading) as reader,
    ):
        os.close(reading)
        for number in (1, 2):
            reader.wait_until(lambda: measured().reads >= asked * number)  # noqa: B023
            assert measured().reads == asked * number
            orders.write("again\n")
            orders.flush()
        reader.wait_until(lambda: measured().reads >= asked * 3)
        reader.signal(signal.SIGKILL)
        reader.wait()
    assert measured().reads == asked * 3


GUNICORN = ("-m", "gunicorn", "tests.processes.serving:wsgi", "--log-level=info", "-w", "2")
UVICORN = ("-m", "uvicorn", "tests.processes.serving:asgi", "--no-access-log")


@pytest.mark.parametrize(
    "server",
    [
        (*GUNICORN, "-b", "{host}:{port}"),
        (*GUNICORN, "-b", "{host}:{port}", "--threads", "4"),
        (*UVICORN, "--host", "{host}", "--port", "{port}"),
        (*UVICORN, "--host", "{host}", "--port", "{port}", "--workers", "2"),
    ],
    ids=["gunicorn", "gunicorn of threads", "uvicorn", "uvicorn of workers"],
)
def test_a_server_that_is_told_to_end(first: int, tmp_path: Path, server: Sequence[str]) -> None:
    address = {"host": "127.0.0.1", "port": str(free_port())}
    arguments = [each.format(**address) for each in server]
    said = tmp_path / "said"
    urls = {"PROCESS_URLS": "tests.processes.serving"}
    with program(said, *arguments, PROCESS_METRICS_EVERY=3600, **urls) as serving:
        serving.wait_until(lambda: answers(first, **address))
        begun = Counter[bool](ask_all(first, **address))
        serving.tell(signal.SIGTERM)
        serving.wait()
    assert begun[False] == 0, serving.said()
    # One read more is that by which it was found to be up.
    assert measured().reads == begun[True] + 1, serving.said()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def answers(pk: int, host: str, port: str) -> bool:
    """Whether a server has read a row."""
    try:
        with urlopen(f"http://{host}:{port}/{pk}", timeout=10) as response:
            return bool(response.read() == b"item")
    except OSError:
        return False


def ask_all(first: int, host: str, port: str) -> list[bool]:
    """Ask a server 64 times, from eight threads."""
    with ThreadPoolExecutor(THREADS) as pool:
        pks = [first + number % PAGE for number in range(64)]
        return list(pool.map(lambda pk: answers(pk, host, port), pks))


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_a_worker_of_celery_that_is_told_to_end(first: int, tmp_path: Path, pool: str) -> None:
    app = Celery(broker=os.environ["REDIS_URL"])
    app.conf.task_default_queue = f"{settings.KEY_PREFIX}-flushes"
    arguments = ("-m", "celery", "-A", "tests.processes.celery", "worker", "-c", "2")
    with program(
        tmp_path / "said", *arguments, f"--pool={pool}", "-l", "INFO", PROCESS_METRICS_EVERY=3600
    ) as worker:
        for _ in range(20):
            app.send_task("tests.read", [first])
        app.close()
        worker.wait_until(lambda: worker.said().count("succeeded") >= 20)
        worker.tell(signal.SIGTERM)
        assert worker.wait() == 0
    assert measured().reads == 20, worker.said()


def test_a_management_command(first: int, tmp_path: Path) -> None:
    code = f"from tests.processes import measuring; measuring.read({first}, {READS})"
    ended = run("-m", "django", "shell", "--no-imports", "-c", code, PROCESS_METRICS_EVERY=3600)
    assert ended.returncode == 0, ended.stderr
    assert measured().reads == sum(keys_asked(1, READS).values())
