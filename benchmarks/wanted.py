"""What crowds ask for: a value whose load takes 200 ms, behind each of the caches.

Loads are counted on the server, which all processes share.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import redis
from django.conf import settings
from django.db import connection

LOAD = 0.2
"""Seconds."""

TTL = 300

Read = Callable[[int], Any]


class _Mine(threading.local):
    """What this thread has done in the round."""

    loaded_at = 0
    """When it has last loaded, in nanoseconds of CLOCK_MONOTONIC."""


mine = _Mine()
_client = redis.Redis(
    connection_pool=redis.BlockingConnectionPool.from_url(settings.REDIS_URL, max_connections=20)
)


def _key(number: int) -> str:
    return f"{settings.PREFIX}:loads:{settings.PROCESS}:{number}"


def loads_of(number: int) -> int:
    """How often a value was loaded, in all processes."""
    return int(_client.get(_key(number)) or 0)


def _load(number: int) -> int:
    _client.incr(_key(number))
    time.sleep(LOAD)
    mine.loaded_at = time.monotonic_ns()
    return number


def _slow_database(read: Read, table: str) -> Read:
    """Have every statement on a table count as a load, and take as long."""

    def reading(number: int) -> Any:
        def slowed(execute: Any, sql: str, *arguments: Any) -> Any:
            if table not in sql:
                return execute(sql, *arguments)
            found = execute(sql, *arguments)
            _load(number)
            return found

        with connection.execute_wrapper(slowed):
            return read(number)

    return reading


def _own() -> dict[str, Read]:
    from django_cachepatterns import cache_aside

    from .app.models import CachedItem
    from .rows import ROWS

    @cache_aside(key="herd:{number}", ttl=TTL)
    def function(number: int) -> int:
        return _load(number)

    def row(number: int) -> Any:
        return CachedItem.objects.get(pk=ROWS - number)  # Not one of those that lists have read.

    def page(number: int) -> list[Any]:
        rows = CachedItem.objects.filter(quantity__gte=number).order_by("pk")[:20]
        return list(rows.cache(ttl=TTL))

    table = CachedItem._meta.db_table
    return {
        "cachepatterns: @cache_aside": function,
        "cachepatterns: get(pk=)": _slow_database(row, table),
        "cachepatterns: list of 20": _slow_database(page, table),
    }


def _others() -> dict[str, Read]:
    from django.core.cache import caches
    from dogpile.cache import make_region

    region = make_region(key_mangler=lambda key: f"{settings.PREFIX}:dogpile:{key}").configure(
        "dogpile.cache.redis",
        expiration_time=TTL,
        arguments={
            "url": settings.ROOMY_URL,
            "distributed_lock": True,
            "thread_local_lock": False,
        },
    )
    cache = caches["roomy"]
    return {
        "Django: get_or_set()": lambda n: cache.get_or_set(f"herd:{n}", lambda: _load(n), TTL),
        "dogpile.cache: get_or_create(), Redis lock": lambda n: region.get_or_create(
            str(n), lambda: _load(n)
        ),
    }


def _cacheops() -> dict[str, Read]:
    from cacheops import cached_as

    from .app.models import CacheopsItem

    @cached_as(CacheopsItem.objects.filter(pk=1), timeout=TTL, lock=True)
    def function(number: int) -> int:
        return _load(number)

    return {"cacheops: @cached_as(lock=True)": function}


CONTENDERS: dict[str, Read] = _cacheops() if settings.PROCESS == "cacheops" else _own() | _others()
