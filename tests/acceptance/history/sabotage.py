"""The library with one of its safeguards taken away: what the checker must notice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django_cachepatterns.orm import loading, lookups, rows
from django_cachepatterns.stores import RedisStore

from .cachepatterns import CachePatterns


class WithoutMarks(CachePatterns):
    """A write drops the entries, before its statement and after its commit, but marks nothing.

    The end of the write finds no mark, and deletes.
    """

    def __init__(self, areas: tuple[str, ...]) -> None:
        super().__init__(areas)
        RedisStore.begin_write = _drop  # type: ignore[method-assign]


class WithoutTokens(CachePatterns):
    """A fill is stored whatever has become of its lease, as long as no write is under way."""

    def __init__(self, areas: tuple[str, ...]) -> None:
        super().__init__(areas)
        RedisStore.fill = _fill_unmarked  # type: ignore[method-assign]


class PublishesSnapshots(CachePatterns):
    """Rows are published whatever transaction they were read in."""

    def __init__(self, areas: tuple[str, ...]) -> None:
        super().__init__(areas)
        rows.load_rows = lookups.load_rows = _load_and_publish  # type: ignore[attr-defined]


def _drop(store: RedisStore, keys: Sequence[bytes], *_: Any) -> int:
    store.drop(keys)
    return 0


def _fill_unmarked(
    store: RedisStore,
    keys: Sequence[bytes],
    lease: bytes,
    entries: Sequence[bytes],
    ttls: Sequence[int],
) -> list[bool]:
    stored = []
    for key, data, ttl in zip(keys, entries, ttls, strict=True):
        taken, _ = store.lease([key], lease, 10_000)
        there = taken[0] or lease
        if there[:1] != b"W":
            store.lease_over([key], [there], lease, 10_000)
        stored += _honest_fill(store, [key], lease, [data], [ttl])
    return stored


def _load_and_publish(*args: Any) -> tuple[Any, bool]:
    return loading.load_rows(*args)[0], True


_honest_fill = RedisStore.fill
