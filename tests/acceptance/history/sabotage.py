"""The library with one of its safeguards taken away: what the checker must notice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django_redis import get_redis_connection

from django_cachepatterns.invalidation import versions
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


class WithoutTags(CachePatterns):
    """A write marks rows and lookups, but no tag: what depends on tables does not learn of it."""

    def __init__(self, areas: tuple[str, ...]) -> None:
        super().__init__(areas)
        RedisStore._post = _post_rows  # type: ignore[method-assign]
        RedisStore._chunked = _send_rows  # type: ignore[method-assign]


class WithoutOldValues(CachePatterns):
    """A write marks the tags of the index values that rows will have, not of those they had."""

    def __init__(self, areas: tuple[str, ...]) -> None:
        super().__init__(areas)
        versions.of_written = lambda *args, **kwargs: set()


class InstallsUnchecked(CachePatterns):
    """Write-through stores what it has read again, whatever has become of the mark."""

    def __init__(self, areas: tuple[str, ...]) -> None:
        super().__init__(areas)
        RedisStore.install = _install_anyway  # type: ignore[method-assign]


class WarmsWithoutLeases(CachePatterns):
    """What is warmed is stored whatever has become of its lease, where no write is under way."""

    def __init__(self, areas: tuple[str, ...]) -> None:
        super().__init__(areas)
        RedisStore.post_fill = _post_unmarked  # type: ignore[method-assign]


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


def _post_unmarked(
    store: RedisStore,
    keys: Sequence[bytes],
    lease: bytes,
    values: Sequence[bytes],
    done: Any,
) -> None:
    ttls = [int(ttl) for ttl in values[1::2]]
    done(list(map(int, _fill_unmarked(store, keys, lease, values[::2], ttls))))


def _load_and_publish(*args: Any) -> tuple[Any, bool]:
    return loading.load_rows(*args)[0], True


def _post_rows(
    store: RedisStore, name: str, keys: Sequence[bytes], arguments: Sequence[bytes], done: Any
) -> None:
    _honest_post(store, name, [key for key in keys if not _is_tag(key)], arguments, done)


def _send_rows(
    store: RedisStore, name: str, keys: Sequence[bytes], arguments: Sequence[bytes]
) -> int:
    return _honest_send(store, name, [key for key in keys if not _is_tag(key)], arguments)


def _is_tag(key: bytes) -> bool:
    return b":tag:" in key or (b":~" in key and b"~absences" not in key and b"~q:" not in key)


def _install_anyway(
    store: RedisStore,
    keys: Sequence[bytes],
    seen: Sequence[bytes],
    writer: bytes,
    entries: Sequence[bytes],
    ttls: Sequence[int],
) -> list[bool]:
    client = get_redis_connection("default")
    return [
        bool(client.set(key, data, px=ttl))
        for key, data, ttl in zip(keys, entries, ttls, strict=True)
    ]


_honest_post, _honest_send = RedisStore._post, RedisStore._chunked
_honest_fill = RedisStore.fill
