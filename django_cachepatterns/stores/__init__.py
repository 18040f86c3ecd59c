"""Stores: where entries live."""

from __future__ import annotations

from ..conf import Config
from .base import Store
from .boards import RedisBoards
from .buffers import RedisBuffers
from .figures import RedisFigures
from .inspector import RedisInspector
from .pool import make_pool
from .redis import RedisStore

__all__ = [
    "RedisBoards",
    "RedisBuffers",
    "RedisInspector",
    "RedisStore",
    "Store",
    "boards_of",
    "buffers_of",
    "inspector_of",
    "store_of",
]


def store_of(config: Config) -> RedisStore:
    """The store that the settings name; the same one as long as they say the same.

    Raises `PolicyError` where they name a cache that cannot be one.
    """
    store: RedisStore | None = config.memo.get("store")
    if store is None:
        store = config.memo["store"] = _store(config, "CACHE")
    return store


def buffers_of(config: Config) -> RedisBuffers:
    """Where write-behind buffers live, by the setting BUFFER_CACHE.

    Raises `PolicyError` where it names a cache that cannot seal batches.
    """
    buffers: RedisBuffers | None = config.memo.get("buffers")
    if buffers is None:
        buffers = config.memo["buffers"] = RedisBuffers(_store(config, "BUFFER_CACHE"))
    return buffers


def boards_of(config: Config) -> RedisBoards:
    """Where leaderboards live: with the buffers. Raises as `buffers_of` does."""
    boards: RedisBoards | None = config.memo.get("boards")
    if boards is None:
        boards = config.memo["boards"] = RedisBoards(_store(config, "BUFFER_CACHE"))
    return boards


def inspector_of(config: Config, setting: str = "CACHE") -> RedisInspector:
    """What looks into the server of a setting, CACHE or BUFFER_CACHE. Raises as `store_of` does."""
    return RedisInspector(_store(config, setting))


def figures_of(config: Config) -> RedisFigures:
    """Where figures are kept: with the entries. Raises as `store_of` does."""
    figures: RedisFigures | None = config.memo.get("figures")
    if figures is None:
        figures = RedisFigures(store_of(config), config.metrics_keys())
        config.memo["figures"] = figures
    return figures


def _store(config: Config, setting: str) -> RedisStore:
    alias = config.values[setting]
    key = (alias, repr(config.caches.get(alias)), config.timeout)
    store = _stores.get(key)
    if store is None:
        store = _stores[key] = RedisStore(make_pool(alias, config.timeout, setting))
    return store


_stores: dict[tuple[str, str, float], RedisStore] = {}
