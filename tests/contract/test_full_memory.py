"""The store on a server that has no memory left: writes are told to it all the same."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from django.conf import LazySettings

from django_cachepatterns import conf, entry
from django_cachepatterns.stores import RedisStore, store_of
from django_cachepatterns.testing.contract import LONG
from example_project.servers import Valkey

WRITER, SECOND = b"w" * 16, b"s" * 16
SHARED, OTHER = b"full:shared", b"full:other"


@pytest.fixture
def client(own_valkey: Valkey) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(own_valkey.url) as client:
        client.config_set("maxmemory-policy", "noeviction")
        yield client


@pytest.fixture
def store(own_valkey: Valkey, client: redis.Redis, settings: LazySettings) -> RedisStore:
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": own_valkey.url}}
    return store_of(conf.config())


def writers(store: RedisStore, key: bytes) -> set[bytes]:
    return {writer for writer, _ in entry.writers_of(store.get(key) or b"")}


def test_a_mark_is_taken_and_leaves_those_of_other_writers(
    store: RedisStore, client: redis.Redis
) -> None:
    store.begin_write([SHARED], SECOND, LONG)
    client.set(OTHER, b"V old")
    client.config_set("maxmemory", 1)
    store.begin_write([SHARED, OTHER], WRITER, LONG)
    assert writers(store, SHARED) == {WRITER, SECOND}
    assert writers(store, OTHER) == {WRITER}


def test_an_end_leaves_other_writers_and_deletes_what_was_filled_under_a_lost_mark(
    store: RedisStore, client: redis.Redis
) -> None:
    for writer in (WRITER, SECOND):
        store.begin_write([SHARED], writer, LONG)
    client.set(OTHER, b"V old")
    client.config_set("maxmemory", 1)
    assert store.end_write([SHARED, OTHER], WRITER) == 1
    assert writers(store, SHARED) == {SECOND}
    assert store.get(OTHER) is None


def test_a_row_that_was_read_before_a_drop_is_not_installed_when_there_is_memory_again(
    store: RedisStore, client: redis.Redis
) -> None:
    store.begin_write([SHARED], WRITER, LONG)
    seen = store.get(SHARED)
    assert seen is not None
    client.config_set("maxmemory", 1)
    store.drop([SHARED])
    client.config_set("maxmemory", 0)
    assert store.install([SHARED], [seen], WRITER, [b"V old"], [LONG]) == [False]
    assert store.get(SHARED) is None
