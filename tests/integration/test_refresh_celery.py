"""Refreshes by a real Celery worker, its broker on Valkey."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, timedelta
from datetime import timezone as FixedOffset
from typing import Any

import pytest
from celery import Celery
from celery.contrib.testing.worker import start_worker
from celery.signals import setup_logging
from django.conf import settings as django_settings
from django.db import connections
from django.utils import timezone, translation

from django_cachepatterns import cache_aside, metrics, tasks
from django_cachepatterns.orm.rows import CachedRows, rows_of
from django_cachepatterns.stampede.revalidate import Place
from tests.testapp.models import Shelf

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

calls: list[int] = []


@cache_aside(
    key="celery:{number}",
    ttl=600,
    soft_ttl=0.05,
    jitter=0,
    stampede="stale_while_revalidate",
    refresh="celery",
)
def doubled(number: int) -> int:
    calls.append(number)
    return 2 * number


@pytest.fixture(autouse=True)
def nothing_asked() -> None:
    tasks._asked.clear()
    calls.clear()


def leave_logging_alone(**kwargs: Any) -> None:
    """A worker would set the level of the root logger, for all tests that come after."""


@pytest.fixture
def app() -> Iterator[Celery]:
    app = Celery("cachepatterns-tests", broker=os.environ["REDIS_URL"], set_as_current=True)
    app.conf.task_default_queue = f"{django_settings.KEY_PREFIX}-celery"
    app.conf.broker_connection_retry_on_startup = True
    setup_logging.connect(leave_logging_alone)
    yield app
    setup_logging.disconnect(leave_logging_alone)
    app.close()


@pytest.fixture
def worker(app: Celery) -> Iterator[Any]:
    with start_worker(app, perform_ping_check=False, pool="solo", shutdown_timeout=30) as worker:
        yield worker
    connections.close_all()


@pytest.fixture
def policy(settings: Any) -> None:
    policy = {"stampede": "stale_while_revalidate", "soft_ttl": 60, "ttl": 600, "jitter": 0}
    policies = {"testapp.Shelf": {**policy, "refresh": "celery"}}
    settings.CACHEPATTERNS = {**settings.CACHEPATTERNS, "POLICIES": policies}


def rows() -> CachedRows:
    found = rows_of(Shelf)
    assert found is not None
    return found


def made_stale(redis_client: Any) -> Shelf:
    """A row that has changed behind its stale entry."""
    shelf = Shelf.objects.create(name="old")
    Shelf.objects.get(pk=shelf.pk)
    key = rows().entry_key(shelf.pk)
    data = redis_client.get(key)
    redis_client.set(key, data[:18] + (1).to_bytes(8) + data[26:], keepttl=True)
    with connections["default"].cursor() as cursor:
        cursor.execute("UPDATE testapp_shelf SET name = 'new' WHERE id = %s", [shelf.pk])
    return shelf


def eventually(found: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_worker_refreshes_a_row(policy: None, worker: Any, redis_client: Any) -> None:
    shelf = made_stale(redis_client)
    assert Shelf.objects.get(pk=shelf.pk).name == "old"
    eventually(lambda: Shelf.objects.get(pk=shelf.pk).name == "new")


def test_a_worker_refreshes_a_function(worker: Any) -> None:
    assert doubled(21) == 42
    assert calls == [21]

    def refreshed() -> bool:
        assert doubled(21) == 42
        return len(calls) > 1

    eventually(refreshed)


def test_one_task_is_sent_however_many_find_it_stale(
    policy: None, app: Celery, redis_client: Any
) -> None:
    shelf = made_stale(redis_client)
    for _ in range(20):
        assert Shelf.objects.get(pk=shelf.pk).name == "old"
    assert tasks.SENDER.wait_until_idle(10)
    assert redis_client.llen(app.conf.task_default_queue) == 1
    redis_client.delete(app.conf.task_default_queue)


def test_without_a_broker_it_stays_stale(policy: None, redis_client: Any, monkeypatch: Any) -> None:
    said: list[str] = []
    # Not caplog: a worker that ran in this process has rearranged the handlers.
    monkeypatch.setattr(
        tasks.logger, "log", lambda level, text, *args, extra: said.append(text % args)
    )
    app = Celery("nowhere", broker="redis://127.0.0.1:1/0", set_as_current=True)
    try:
        shelf = made_stale(redis_client)
        before = metrics.snapshot()["load"]
        assert Shelf.objects.get(pk=shelf.pk).name == "old"
        assert tasks.SENDER.wait_until_idle(30)
        assert "was not told to refresh" in said[0]
        assert Shelf.objects.get(pk=shelf.pk).name == "old"
        assert metrics.snapshot()["load"] == before
    finally:
        app.close()


def test_a_recipe_of_another_version_is_refused() -> None:
    with pytest.raises(Exception, match="same version"):
        tasks.refresh({"kind": "horoscope"})


def test_a_refresh_that_came_too_late_does_nothing(policy: None) -> None:
    shelf = Shelf.objects.create(name="fresh")
    Shelf.objects.get(pk=shelf.pk)
    recipe = rows().recipe(shelf.pk)
    assert recipe is not None
    assert not tasks.refresh(recipe)


@cache_aside(
    key="spoken:{language}",
    ttl=600,
    soft_ttl=0.05,
    jitter=0,
    stampede="stale_while_revalidate",
    refresh="celery",
)
def spoken(language: str) -> list[Any]:
    calls.append(1)
    return [translation.get_language(), timezone.get_current_timezone_name(), len(calls)]


def test_a_worker_speaks_the_language_of_who_found_it_stale(worker: Any) -> None:
    with translation.override("de"), timezone.override("Asia/Tokyo"):
        assert spoken("de") == ["de", "Asia/Tokyo", 1]
        time.sleep(0.05)
        spoken("de")
        eventually(lambda: spoken.get("de") == ["de", "Asia/Tokyo", 2])


@pytest.mark.parametrize("zone", [FixedOffset(timedelta(hours=1)), UTC, None])
def test_a_time_zone_is_told_by_its_name(zone: Any) -> None:
    with timezone.override(zone), translation.override("fr"):
        told = Place.here().told()
        with Place(*told).entered():
            assert translation.get_language() == "fr"
    assert told == [None, "fr", None if zone not in (UTC, None) else "UTC"]
