"""What the reading benchmarks share: entries that are there, and proof that they are."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import redis
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext

from .app.models import CachedItem, PlainItem
from .rows import columns_of

KEYS = range(1, 1001)
"""The primary keys that are read, in turn."""


def bare_client() -> redis.Redis:
    """A client with redis-py's default settings."""
    return redis.Redis.from_url(os.environ["REDIS_URL"])


def entry_keys(pks: Iterable[int]) -> list[bytes]:
    """Where this library keeps the rows of some primary keys."""
    prefix = os.environ["CACHEPATTERNS_PREFIX"]
    return [f"{prefix}:{CachedItem._meta.label_lower}:{pk}".encode() for pk in pks]


def fill_entries() -> int:
    """Make this library's entries; the median size of one, in bytes."""
    for pk in KEYS:
        CachedItem.objects.get(pk=pk)
    with bare_client() as client:
        found = client.mget(entry_keys(KEYS))
    sizes = sorted(map(len, found))
    return sizes[len(sizes) // 2]


def kept(pk: int) -> str:
    """The key under which `get_or_set` keeps an instance."""
    return f"item:{pk}"


def fill_django_redis() -> None:
    """Keep the instances of the plain model, pickled."""
    cache.set_many({kept(each.pk): each for each in PlainItem.objects.filter(pk__in=KEYS)}, 3600)


def check_hits(name: str, read: Callable[[], Sequence[Any]], pks: Sequence[int]) -> None:
    """Raise `RuntimeError` unless a read gives what is in the database, without asking it."""
    read()
    with CaptureQueriesContext(connection) as asked:
        found = read()
    if len(asked):
        raise RuntimeError(f"{name}: not a hit: {asked.captured_queries[0]['sql']}")
    rows = {each.pk: each for each in PlainItem.objects.filter(pk__in=pks)}
    if columns_of(found) != columns_of([rows[pk] for pk in pks]):
        raise RuntimeError(f"{name}: other values than those of the database")
