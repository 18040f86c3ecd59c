"""What crowds ask for: a value whose load takes 200 ms, behind each of the caches.

Loads are counted on the server, which all processes share.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import connection

from .reads import bare_client

LOAD = 0.2
"""Seconds."""

TTL = 300

Read = Callable[[int], Any]


class _Mine(threading.local):
    """What this thread has done in the round."""

    loads = 0
    listens = False


mine = _Mine()
_client = bare_client()


def _key(number: int) -> str:
    return f"{settings.PREFIX}:loads:{number}"


def loads_of(number: int) -> list[int]:
    """When the loads of a value ended, in nanoseconds of CLOCK_MONOTONIC."""
    return [int(each) for each in _client.lrange(_key(number), 0, -1)]


def _load(number: int) -> int:
    time.sleep(LOAD)
    mine.loads += 1
    _client.rpush(_key(number), time.monotonic_ns())
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

    @cache_aside(key="herd:{number}", ttl=TTL)
    def function(number: int) -> int:
        return _load(number)

    def page(number: int) -> list[Any]:
        rows = CachedItem.objects.filter(quantity__gte=number).order_by("pk")[:20]
        return list(rows.cache(ttl=TTL))

    table = CachedItem._meta.db_table
    return {
        "cachepatterns: @cache_aside": function,
        "cachepatterns: get(pk=)": _slow_database(lambda n: CachedItem.objects.get(pk=n), table),
        "cachepatterns: list of 20": _slow_database(page, table),
    }


def _others() -> dict[str, Read]:
    from django.core.cache import cache
    from dogpile.cache import make_region

    region = make_region(key_mangler=lambda key: f"{settings.PREFIX}:dogpile:{key}").configure(
        "dogpile.cache.redis",
        expiration_time=TTL,
        arguments={"url": os.environ["REDIS_URL"], "distributed_lock": True},
    )
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
