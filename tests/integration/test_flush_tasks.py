"""Flushes by a real Celery worker and a real beat, processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from celery.schedules import crontab
from django.conf import settings as django_settings
from django.db import connection
from django.test import override_settings
from django.utils import timezone

from django_cachepatterns import metrics, tasks
from django_cachepatterns.exceptions import PolicyError
from django_cachepatterns.testing import outage
from django_cachepatterns.write_behind import registry, troubles
from django_cachepatterns.write_behind.records import LedgerEntry
from tests.processes import Program, program
from tests.testapp.models import Page, Visit

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

CELERY = ("-m", "celery", "-A", "tests.processes.celery")
POOLS = {"prefork": ("--pool=prefork", "--concurrency=2"), "solo": ("--pool=solo",)}


@pytest.fixture
def page() -> Page:
    return Page.objects.create(title="a")


def in_database(page: Page) -> int:
    return Page.objects.nocache().values_list("views", flat=True).get(pk=page.pk)


@pytest.fixture
def beat(tmp_path: Path) -> Iterator[Program]:
    schedule = f"--schedule={tmp_path / 'schedule'}"
    with program(tmp_path / "beat", *CELERY, "beat", "--loglevel=info", schedule) as running:
        yield running


def worker_arguments(pool: str) -> tuple[str, ...]:
    quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat")
    return (*CELERY, "worker", "--loglevel=info", *POOLS[pool], *quiet)


@pytest.fixture
def start_worker(tmp_path: Path) -> Iterator[Callable[..., Program]]:
    started: list[Program] = []

    def start(pool: str = "solo", **changes: Any) -> Program:
        said = tmp_path / f"worker{len(started)}"
        started.append(Program(said, *worker_arguments(pool), **changes))
        return started[-1]

    yield start
    for each in started:
        each.kill()


def queued(redis_client: Any) -> int:
    return int(redis_client.llen(f"{django_settings.KEY_PREFIX}-flushes"))


@pytest.fixture(autouse=True)
def no_tasks_left_behind(redis_client: Any) -> Iterator[None]:
    yield
    prefix = f"{django_settings.KEY_PREFIX}-flushes"
    redis_client.delete(prefix, f"_kombu.binding.{prefix}")


@pytest.mark.parametrize("pool", POOLS)
def test_increments_reach_the_database(
    page: Page, beat: Program, start_worker: Any, pool: str
) -> None:
    worker = start_worker(pool)
    visit = Visit.objects.create()
    Page.view_counter.increment(page.pk, 3)
    visit.hit_counter.increment(2)
    worker.wait_until(lambda: in_database(page) == 3)
    worker.wait_until(lambda: Visit.objects.get(pk=visit.pk).hits == 2)
    Page.view_counter.increment(page.pk, 4)
    worker.wait_until(lambda: in_database(page) == 7)
    assert Page.view_counter.pending() == 0


def test_a_worker_that_was_stopped_works_off_no_pile(
    page: Page, beat: Program, start_worker: Any, redis_client: Any
) -> None:
    worker = start_worker()
    worker.wait_until(lambda: "succeeded" in worker.said())
    worker.signal(signal.SIGSTOP)
    beat.wait_until(lambda: queued(redis_client) >= 30)
    # Nothing is sent from now on, and what was sent has expired but for that of the last second.
    beat.kill()
    pile = queued(redis_client)
    before = worker.said().count("succeeded")
    Page.view_counter.increment(page.pk, 3)
    worker.signal(signal.SIGCONT)
    worker.wait_until(lambda: queued(redis_client) == 0)
    asked = Celery(broker=os.environ["REDIS_URL"])
    asked.conf.task_default_queue = f"{django_settings.KEY_PREFIX}-flushes"
    asked.send_task("django_cachepatterns.flush", ["testapp.Page.views"])
    asked.close()
    worker.wait_until(lambda: in_database(page) == 3)
    done = worker.said().count("succeeded") - before
    assert pile >= 30
    assert done <= 10
    assert worker.said().count("expired") + worker.said().count("revoked") >= pile - done


@pytest.mark.parametrize("pool", POOLS)
def test_a_worker_that_is_shut_down_drains(
    page: Page, start_worker: Any, redis_client: Any, pool: str
) -> None:
    worker = start_worker(pool)
    app = Celery(broker=os.environ["REDIS_URL"])
    app.conf.task_default_queue = f"{django_settings.KEY_PREFIX}-flushes"
    app.send_task("tests.count", [page.pk, 3])
    worker.wait_until(lambda: Page.view_counter.pending() == 3)
    app.close()
    assert in_database(page) == 0
    worker.tell(signal.SIGTERM)
    assert worker.wait() == 0
    assert (in_database(page), Page.view_counter.pending()) == (3, 0)


def test_the_settings_can_ask_for_a_schedule() -> None:
    program = (
        "import django_cachepatterns\n"
        "from django.conf import settings\n"
        "schedule = django_cachepatterns.tasks.beat_schedule()\n"
        "assert not settings.configured\n"
        "print(*sorted((each['task'], each['options']['expires']) for each in schedule.values()))"
    )
    asked = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    said = asked.stdout.strip()
    assert "('django_cachepatterns.flush_due', 10.0)" in said
    assert "('django_cachepatterns.prune_ledger', 3600.0)" in said


def test_a_schedule_that_knows_the_models_has_an_entry_for_each_buffer() -> None:
    schedule = tasks.beat_schedule()
    flushes = {
        each["args"][0]: (each["schedule"], each["options"]["expires"])
        for each in schedule.values()
        if each["task"] == tasks.flush.name
    }
    assert flushes == {
        buffer.name: (buffer.flush_every, max(10.0, buffer.flush_every))
        for buffer in registry.buffers()
    }
    (prune,) = (each for each in schedule.values() if each["task"] == tasks.prune_ledger.name)
    assert prune["schedule"] == crontab(hour="3", minute="17")


def test_a_tick_flushes_what_is_due(
    page: Page, monkeypatch: pytest.MonkeyPatch, redis_client: Any
) -> None:
    monkeypatch.setattr(Page.view_counter, "flush_every", 0.4)
    monkeypatch.setattr(Visit.hit_counter, "flush_every", 60)
    visit = Visit.objects.create()
    Page.view_counter.increment(page.pk)
    visit.hit_counter.increment()
    assert {Page.view_counter.name, Visit.hit_counter.name} <= set(tasks.flush_due(0.2))
    assert tasks.flush_due(0.2) == {}
    Page.view_counter.increment(page.pk)
    visit.hit_counter.increment()
    ends = time.monotonic() + 5
    while not (done := tasks.flush_due(0.2)):
        assert time.monotonic() < ends
        time.sleep(0.01)
    assert done == {Page.view_counter.name: {"batches": 1, "rows": 1, "dropped": 0, "refused": 0}}
    left = redis_client.pttl(Visit.hit_counter.keys().due)
    assert 50_000 < left <= 59_900


def test_a_turn_is_one_workers(page: Page) -> None:
    Page.view_counter.increment(page.pk)
    barrier = threading.Barrier(4)
    found: list[dict[str, Any]] = []

    def tick() -> None:
        barrier.wait()
        found.append(tasks.flush_due())

    threads = [threading.Thread(target=tick) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(Page.view_counter.name in each for each in found) == 1


@contextmanager
def renamed(table: str, column: str, other: str) -> Iterator[None]:
    """A column that the database does not know for a while: no row is at fault."""
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} RENAME COLUMN {column} TO {other}")
    try:
        yield
    finally:
        # Of another connection, maybe: a flush that failed closes one that is past its age.
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {table} RENAME COLUMN {other} TO {column}")


def test_a_backlog_that_could_not_be_flushed_is_left_alone_for_a_while(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(troubles, "LOGGED", troubles.Troubles(said.append, said.append))
    Page.view_counter.increment(page.pk)
    name = Page.view_counter.name
    before = metrics.by_family().get(name, {}).get("flush_error", 0)
    with renamed("testapp_page", "views", "elsewhere"):
        assert tasks.flush(name)["batches"] == 0
        assert tasks.flush(name)["batches"] == 0
    assert metrics.by_family()[name]["flush_error"] == before + 1
    assert in_database(page) == 0
    ends = time.monotonic() + 5
    while not tasks.flush(name)["batches"]:
        assert time.monotonic() < ends
        time.sleep(0.02)
    assert in_database(page) == 1
    assert [text.partition(";")[0] for text in said] == [
        f"{name} cannot be flushed",
        f"{name} is flushed again.",
    ]


def test_a_tick_without_the_server_says_so_once(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(troubles, "LOGGED", troubles.Troubles(said.append, said.append))
    with outage():
        assert tasks.flush_due() == {}
        assert tasks.flush_due() == {}
    assert len(said) == len(registry.buffers())
    tasks.flush_due()
    assert said[-1].endswith("is flushed again.")


def test_a_task_for_an_unknown_buffer_fails() -> None:
    with pytest.raises(PolicyError, match="Use one of:"):
        tasks.flush("testapp.Page.nothing")


def test_pruning_keeps_what_a_snapshot_may_bring_back(page: Page) -> None:
    for by in (1, 2):
        Page.view_counter.increment(page.pk, by)
        Page.view_counter.flush()
    old = LedgerEntry.objects.order_by("applied_at")[:1].get()
    LedgerEntry.objects.filter(pk=old.pk).update(applied_at=timezone.now() - timedelta(days=2))
    assert tasks.prune_ledger() == {"default": 0}
    with override_settings(CACHEPATTERNS={**django_settings.CACHEPATTERNS, "LEDGER_KEEP": 86400}):
        assert tasks.prune_ledger() == {"default": 1}
    assert LedgerEntry.objects.count() == 1
