"""Stores: where entries live."""

from __future__ import annotations

from ..conf import Config
from .base import Store
from .pool import make_pool
from .redis import RedisStore

__all__ = ["RedisStore", "Store", "store_of"]


def store_of(config: Config) -> RedisStore:
    """The store that the settings name; the same one as long as they say the same.

    Raises `PolicyError` where they name a cache that cannot be one.
    """
    store: RedisStore | None = config.memo.get("store")
    if store is None:
        alias = config.values["CACHE"]
        key = (alias, repr(config.caches.get(alias)), config.timeout)
        store = _stores.get(key)
        if store is None:
            store = _stores[key] = RedisStore(make_pool(alias, config.timeout))
        config.memo["store"] = store
    return store


_stores: dict[tuple[str, str, float], RedisStore] = {}
