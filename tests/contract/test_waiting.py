"""Waiting for another's load: nothing is left that would wake the next in vain."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import redis
from django.conf import settings

from django_cachepatterns import entry
from django_cachepatterns.stores.redis import RedisStore
from example_project.servers import Valkey

KEY = settings.KEY_PREFIX.encode() + b":waiting:1"
LONG = 60_000


def made(client: redis.Redis, **options: object) -> RedisStore:
    given = {**client.connection_pool.connection_kwargs, "socket_timeout": 4, **options}
    return RedisStore(redis.ConnectionPool(**given))


@pytest.fixture
def store(redis_client: redis.Redis) -> Iterator[RedisStore]:
    store = made(redis_client)
    yield store
    store.close()


@pytest.mark.parametrize("ends", ["fill", "release"])
def test_who_has_looked_ten_times_is_woken_once(
    store: RedisStore, redis_client: redis.Redis, ends: str
) -> None:
    lease = entry.lease(entry.new_token())
    store.lease([KEY], lease, LONG)
    for _ in range(10):
        store.wait([KEY], 0.001)
    if ends == "fill":
        assert store.fill([KEY], lease, [b"V"], [LONG]) == [True]
    else:
        store.release([KEY], lease)
    assert redis_client.llen(KEY + b"~wake") == 1
    assert not redis_client.exists(KEY + b"~waiting")


@pytest.mark.parametrize("rule", ["-@blocking", "-sadd", "-@list", "-@set", "-@dangerous"])
def test_a_user_without_the_right_to_wait_waits_all_the_same(own_valkey: Valkey, rule: str) -> None:
    with redis.Redis.from_url(own_valkey.url) as client:
        client.execute_command("ACL", "SETUSER", "limited", "on", "nopass", "~*", "+@all", rule)
        other = made(client)
        store = made(client, username="limited", password="any")
        lease = entry.lease(entry.new_token())
        assert store.lease([KEY], lease, LONG)[0] == [None]
        began = time.monotonic()
        store.wait([KEY], 0.05)
        assert time.monotonic() - began < 1
        assert store.fill([KEY], lease, [b"V"], [LONG]) == [True]
        other.lease([KEY], lease, LONG)
        for each in (store, other):
            each.close()
