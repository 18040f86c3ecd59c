"""With the cache hanging, down, or restarted, pages are slower and right."""

from __future__ import annotations

import logging
import os
import signal
import time
from typing import Any

import pytest
from django.db import transaction
from django.test import override_settings

from django_cachepatterns import metrics
from django_cachepatterns.orm.rows import rows_of
from example_project.servers import Valkey
from tests.testapp.models import Item, Label, Shelf

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def server(own_valkey: Valkey) -> Any:
    caches = {
        "default": {
            "BACKEND": "django_redis.cache.RedisCache",
            # The options that hold a page of a peer for a minute.
            "LOCATION": own_valkey.url,
            "OPTIONS": {"SOCKET_TIMEOUT": 30, "CONNECTION_POOL_KWARGS": {"max_connections": 1}},
        }
    }
    with override_settings(CACHES=caches, CACHEPATTERNS={"TIMEOUT": 0.1}):
        yield own_valkey


def take_away(server: Valkey, how: str) -> None:
    if how == "killed":
        server.kill()
    else:
        os.kill(server.pid, signal.SIGSTOP)


def give_back(server: Valkey, how: str) -> None:
    if how == "killed":
        server.start()
    else:
        os.kill(server.pid, signal.SIGCONT)


@pytest.mark.parametrize("how", ["killed", "hanging"])
def test_reads_and_writes_go_on(server: Valkey, how: str, caplog: Any) -> None:
    item = Item.objects.create(name="old", slug="s", shelf=Shelf.objects.create(name="top"))
    label = Label.objects.create(item=item, text="x")
    Item.objects.get(pk=item.pk)
    take_away(server, how)
    try:
        started = time.monotonic()
        assert Item.objects.get(pk=item.pk).name == "old"
        assert Item.objects.get(slug="s").name == "old"
        assert Item.objects.in_bulk([item.pk])[item.pk].name == "old"
        assert [each.name for each in Item.objects.filter(pk__in=[item.pk])] == ["old"]
        assert Label.objects.nocache().get(pk=label.pk).item.name == "old"
        with pytest.raises(Item.DoesNotExist):
            Item.objects.get(pk=0)
        with caplog.at_level(logging.ERROR, "django_cachepatterns"):
            Item.objects.filter(pk=item.pk).update(name="new")
        key = rows_of(Item).entry_key(item.pk).decode()  # type: ignore[union-attr]
        assert key in caplog.text
        with transaction.atomic():
            item.stock = 5
            item.name = "newer"
            item.save()
            assert Item.objects.get(pk=item.pk).name == "newer"
        Item.objects.create(name="other", slug="other")
        Item.objects.bulk_create([Item(name="third", slug="third")])
        assert time.monotonic() - started < 20, "it took as long as redis-py's own defaults"
    finally:
        give_back(server, how)
    assert metrics.snapshot()["error"] > 0


def test_a_restart_is_a_cold_cache(server: Valkey, django_assert_num_queries: Any) -> None:
    item = Item.objects.create(name="old", slug="s")
    Item.objects.get(pk=item.pk)
    with django_assert_num_queries(0):
        Item.objects.get(pk=item.pk)
    server.kill()
    server.start()
    with django_assert_num_queries(1):
        assert Item.objects.get(pk=item.pk).name == "old"
    with django_assert_num_queries(0):
        assert Item.objects.get(pk=item.pk).name == "old"


def test_an_entry_of_another_server_is_a_miss(
    redis_client: Any, django_assert_num_queries: Any
) -> None:
    """A snapshot that was restored, a replica that was promoted: another run id."""
    item = Item.objects.create(name="old", slug="s")
    Item.objects.get(pk=item.pk)
    rows = rows_of(Item)
    assert rows is not None
    key = rows.entry_key(item.pk)
    data = redis_client.get(key)
    redis_client.set(key, data[:10] + b"\1" * 8 + data[18:])
    corrupt = metrics.snapshot()["corrupt"]
    with django_assert_num_queries(1):
        Item.objects.get(pk=item.pk)
    with django_assert_num_queries(0):
        Item.objects.get(pk=item.pk)
    assert metrics.snapshot()["corrupt"] == corrupt


def test_an_entry_of_another_schema_is_a_miss(
    redis_client: Any, django_assert_num_queries: Any
) -> None:
    """In the middle of a deploy: nobody reads rows of the other version's shape."""
    item = Item.objects.create(name="old", slug="s")
    Item.objects.get(pk=item.pk)
    rows = rows_of(Item)
    assert rows is not None
    key = rows.entry_key(item.pk)
    data = redis_client.get(key)
    redis_client.set(key, data[:2] + b"another." + data[10:])
    corrupt = metrics.snapshot()["corrupt"]
    with django_assert_num_queries(1):
        assert Item.objects.get(pk=item.pk).name == "old"
    assert metrics.snapshot()["corrupt"] == corrupt
    assert redis_client.get(key)[2:10] == rows.fingerprint


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"V",
        b"garbage",
        b"L",
        b"Lorem ipsum",
        b"W",
        b"Where are we?",
        b"N",
        b"\x80\x04\x95pickle",
        {"a": "hash"},
        "truncated",
        "wrong payload",
    ],
    ids=str,
)
def test_a_foreign_entry_heals_itself(
    garbage: Any, redis_client: Any, django_assert_num_queries: Any
) -> None:
    item = Item.objects.create(name="old", slug="s")
    Item.objects.get(pk=item.pk)
    rows = rows_of(Item)
    assert rows is not None
    key = rows.entry_key(item.pk)
    good = redis_client.get(key)
    redis_client.delete(key)
    if isinstance(garbage, dict):
        redis_client.hset(key, mapping=garbage)
    elif garbage == "truncated":
        redis_client.set(key, good[:-7])
    elif garbage == "wrong payload":
        redis_client.set(key, good[:32] + b"\x91\x01")
    else:
        redis_client.set(key, garbage)
    corrupt = metrics.snapshot()["corrupt"]
    with django_assert_num_queries(1):
        assert Item.objects.get(pk=item.pk).name == "old"
    assert metrics.snapshot()["corrupt"] == corrupt + 1
    with django_assert_num_queries(0):
        assert Item.objects.get(pk=item.pk).name == "old"
    redis_client.delete(key)
    redis_client.hset(key, "a", "hash")
    Item.objects.filter(pk=item.pk).update(name="new")
    assert [each.name for each in Item.objects.filter(pk__in=[item.pk])] == ["new"]
    assert Item.objects.get(pk=item.pk).name == "new"


def test_a_lost_mark_is_noticed_and_counted(redis_client: Any) -> None:
    item = Item.objects.create(name="old", slug="s")
    Item.objects.get(pk=item.pk)
    rows = rows_of(Item)
    assert rows is not None
    lost = metrics.snapshot()["lost_mark"]
    with transaction.atomic():
        Item.objects.filter(pk=item.pk).update(name="new")
        redis_client.delete(rows.entry_key(item.pk))
    assert Item.objects.get(pk=item.pk).name == "new"
    assert metrics.snapshot()["lost_mark"] == lost + 1


def test_a_flush_in_the_middle_of_a_transaction(redis_client: Any, elsewhere: Any) -> None:
    """The documented hole: a reader may fill the old row, and the end of the write deletes it."""
    item = Item.objects.create(name="old", slug="s")
    rows = rows_of(Item)
    assert rows is not None
    with transaction.atomic():
        Item.objects.filter(pk=item.pk).update(name="new")
        redis_client.delete(rows.entry_key(item.pk))
        assert elsewhere(lambda: Item.objects.get(pk=item.pk).name) == "old"
        assert Item.objects.get(pk=item.pk).name == "new", "its own row is read from the database"
    assert Item.objects.get(pk=item.pk).name == "new"
    assert elsewhere(lambda: Item.objects.get(pk=item.pk).name) == "new"


def test_a_connection_that_broke_in_autocommit_leaves_the_mark(
    redis_client: Any, elsewhere: Any
) -> None:
    """Nobody knows whether the statement was carried out; the mark lapses by itself."""
    from django.db import connection
    from django.db.utils import OperationalError

    item = Item.objects.create(name="old", slug="s")
    Item.objects.get(pk=item.pk)
    rows = rows_of(Item)
    assert rows is not None
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        pid = cursor.fetchone()[0]

    def terminate() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [pid])

    elsewhere(terminate)
    item.name = "new"
    with pytest.raises(OperationalError):
        item.save()
    connection.close()
    key = rows.entry_key(item.pk)
    assert redis_client.get(key)[:1] == b"W"
    assert 0 < redis_client.pttl(key) <= 60_000
    assert Item.objects.get(pk=item.pk).name == "old"
