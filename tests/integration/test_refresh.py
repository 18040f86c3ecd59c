"""Stale values: served while one refreshes, by a thread, Celery or the reader itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connections, transaction

from django_cachepatterns import entry, hooks, metrics
from django_cachepatterns.orm.rows import CachedRows, rows_of
from django_cachepatterns.stampede import early
from django_cachepatterns.stampede.refresher import REFRESHER
from tests.testapp.models import Shelf

pytestmark = pytest.mark.django_db(transaction=True)

Policy = Callable[..., None]


@pytest.fixture
def policy(settings: Any) -> Policy:
    """Sets the policy of shelves."""

    def lay(**changes: Any) -> None:
        changed = {"testapp.Shelf": {"jitter": 0, **changes}}
        settings.CACHEPATTERNS = {**settings.CACHEPATTERNS, "POLICIES": changed}

    return lay


@pytest.fixture
def shelf() -> Shelf:
    return Shelf.objects.create(name="old")


def rows() -> CachedRows:
    found = rows_of(Shelf)
    assert found is not None
    return found


def age(shelf: Shelf, redis_client: Any, seconds: float = 3600) -> None:
    """Make an entry as old as if it had been filled some seconds ago."""
    key = rows().entry_key(shelf.pk)
    data = redis_client.get(key)
    soft_expiry, _ = entry.soft_expiry_and_cost(data)
    older = (soft_expiry - int(seconds * 1000)).to_bytes(8)
    redis_client.set(key, data[:18] + older + data[26:], keepttl=True)


def change_unseen(shelf: Shelf, name: str) -> None:
    """Write behind the library's back: a refresh finds it, a hit does not."""
    with connections["default"].cursor() as cursor:
        cursor.execute("UPDATE testapp_shelf SET name = %s WHERE id = %s", [name, shelf.pk])


def read(shelf: Shelf) -> str:
    return Shelf.objects.get(pk=shelf.pk).name


@contextmanager
def counted() -> Iterator[dict[str, int]]:
    """What was counted within a block."""
    before, found = metrics.snapshot(), {}
    yield found
    after = metrics.snapshot()
    found.update({name: after[name] - before[name] for name in after})


def wait_until_fresh() -> None:
    assert REFRESHER.wait_until_idle(10)


SWR = {"stampede": "stale_while_revalidate", "soft_ttl": 60, "ttl": 600}


def test_a_stale_row_is_served_and_refreshed(
    shelf: Shelf, policy: Policy, redis_client: Any, django_assert_num_queries: Any
) -> None:
    policy(**SWR)
    assert read(shelf) == "old"
    change_unseen(shelf, "new")
    age(shelf, redis_client)
    with django_assert_num_queries(0):
        assert read(shelf) == "old"
    wait_until_fresh()
    with django_assert_num_queries(0):
        assert read(shelf) == "new"


def test_a_fresh_row_is_not_refreshed(shelf: Shelf, policy: Policy, redis_client: Any) -> None:
    policy(**SWR)
    read(shelf)
    with counted() as counts:
        for _ in range(5):
            read(shelf)
    wait_until_fresh()
    assert counts["hit"] == 5
    assert counts["refresh"] == 0


def test_one_refreshes_however_many_read(shelf: Shelf, policy: Policy, redis_client: Any) -> None:
    policy(**SWR)
    read(shelf)
    age(shelf, redis_client)
    gate = threading.Event()
    with counted() as counts, hooks.listening(before_fill=lambda details: gate.wait(10)):
        for _ in range(30):
            assert read(shelf) == "old"
        gate.set()
        wait_until_fresh()
    assert counts["load"] == 1
    assert counts["refresh"] == 1


def test_a_write_ends_a_refresh_that_had_begun(
    shelf: Shelf, policy: Policy, redis_client: Any
) -> None:
    policy(**SWR)
    read(shelf)
    age(shelf, redis_client)
    loaded, written = threading.Event(), threading.Event()

    def hold(details: hooks.Loaded) -> None:
        if threading.current_thread() is not threading.main_thread():
            loaded.set()
            written.wait(10)

    with hooks.listening(before_fill=hold):
        read(shelf)
        assert loaded.wait(10)
        Shelf.objects.filter(pk=shelf.pk).update(name="written")
        written.set()
        wait_until_fresh()
    assert read(shelf) == "written"


def test_what_is_being_written_is_not_served_stale(
    shelf: Shelf, policy: Policy, redis_client: Any
) -> None:
    policy(**SWR)
    read(shelf)
    age(shelf, redis_client)
    with transaction.atomic():
        Shelf.objects.filter(pk=shelf.pk).update(name="mine")
        assert read(shelf) == "mine"
    assert read(shelf) == "mine"


def test_a_refresh_that_fails_is_tried_again_later(
    shelf: Shelf, policy: Policy, redis_client: Any, caplog: Any
) -> None:
    policy(**SWR, lease_ttl=0.2)
    read(shelf)
    age(shelf, redis_client)

    def fail(details: hooks.Loaded) -> None:
        raise RuntimeError("no loader today")

    with hooks.listening(before_fill=fail):
        assert read(shelf) == "old"
        wait_until_fresh()
    assert "stays stale" in caplog.text
    change_unseen(shelf, "new")
    with counted() as counts:
        assert read(shelf) == "old"  # The failed refresh keeps others away for a while.
        wait_until_fresh()
    assert counts["refresh"] == 0
    deadline = time.monotonic() + 10
    while read(shelf) == "old":
        wait_until_fresh()
        assert time.monotonic() < deadline


def test_a_refresh_closes_its_database_connections(
    shelf: Shelf, policy: Policy, redis_client: Any
) -> None:
    policy(**SWR)
    read(shelf)

    def sessions() -> int:
        with connections["default"].cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            )
            return int(cursor.fetchone()[0])

    before = sessions()
    for _ in range(4):
        age(shelf, redis_client)
        read(shelf)
        wait_until_fresh()
    deadline = time.monotonic() + 10
    while sessions() > before:
        assert time.monotonic() < deadline


def test_a_full_queue_serves_stale(
    shelf: Shelf, policy: Policy, redis_client: Any, monkeypatch: Any
) -> None:
    policy(**SWR)
    read(shelf)
    age(shelf, redis_client)
    monkeypatch.setattr(REFRESHER, "_longest", 0)
    with counted() as counts:
        assert read(shelf) == "old"
    assert counts["stale_hit"] == 1
    assert counts["load"] == 0


def test_a_page_of_stale_rows_is_served_and_refreshed(
    shelf: Shelf, policy: Policy, redis_client: Any
) -> None:
    policy(**SWR)
    read(shelf)
    change_unseen(shelf, "new")
    age(shelf, redis_client)
    (found,) = Shelf.objects.filter(pk__in=[shelf.pk])
    assert found.name == "old"
    wait_until_fresh()
    (found,) = Shelf.objects.filter(pk__in=[shelf.pk])
    assert found.name == "new"


def test_a_stale_list_is_served_and_refreshed(
    shelf: Shelf, policy: Policy, redis_client: Any
) -> None:
    queryset = Shelf.objects.filter(name__startswith="o").order_by("pk")
    cached = queryset.cache(ttl=600, soft_ttl=0.05, jitter=0, stampede="stale_while_revalidate")
    assert cached.count() == 1
    with connections["default"].cursor() as cursor:
        cursor.execute("INSERT INTO testapp_shelf (name) VALUES ('other')")
    deadline = time.monotonic() + 10
    seen = {cached.count()}
    while 2 not in seen:
        seen.add(cached.count())
        assert time.monotonic() < deadline
    assert seen == {1, 2}


def test_inline_the_reader_that_finds_it_stale_loads(
    shelf: Shelf, policy: Policy, redis_client: Any, django_assert_num_queries: Any
) -> None:
    policy(**SWR, refresh="inline")
    read(shelf)
    change_unseen(shelf, "new")
    age(shelf, redis_client)
    with django_assert_num_queries(1):
        assert read(shelf) == "new"
    with django_assert_num_queries(0):
        assert read(shelf) == "new"


# Early refresh


def test_early_refresh_leaves_a_young_row_alone(
    shelf: Shelf, policy: Policy, redis_client: Any
) -> None:
    policy(stampede="early_refresh", ttl=600)
    read(shelf)
    with counted() as counts:
        for _ in range(50):
            read(shelf)
        wait_until_fresh()
    assert counts["refresh"] == 0


def test_early_refresh_refreshes_before_the_end(
    shelf: Shelf, policy: Policy, redis_client: Any
) -> None:
    policy(stampede="early_refresh", ttl=600)
    read(shelf)
    change_unseen(shelf, "new")
    age(shelf, redis_client, seconds=600)
    assert read(shelf) == "old"
    wait_until_fresh()
    assert read(shelf) == "new"


def test_early_refresh_is_the_likelier_the_longer_the_load() -> None:
    def share(cost: float) -> float:
        due = sum(early.is_due(0, 1000, cost, 1.0) for _ in range(4000))
        return due / 4000

    # The chance is exp(-(time left) / (cost * beta)).
    assert share(100) < 0.01
    assert 0.32 < share(1000) < 0.42
    assert 0.86 < share(10_000) < 0.95


# No defence


def test_without_a_defence_all_load(shelf: Shelf, policy: Policy) -> None:
    policy(stampede="none")
    together = threading.Barrier(4)
    names: list[str] = []

    def load(details: hooks.Loaded) -> None:
        time.sleep(0.05)

    def target() -> None:
        try:
            together.wait()
            names.append(read(shelf))
        finally:
            connections.close_all()

    with counted() as counts, hooks.listening(before_fill=load):
        threads = [threading.Thread(target=target) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    assert names == ["old"] * 4
    assert counts["load"] == 4
    assert counts["fill"] == 1
