"""A connection pool made by django-redis, with the patience that a cache deserves."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.cache import caches
from django.core.cache.backends.base import InvalidCacheBackendError
from redis.backoff import NoBackoff
from redis.connection import BlockingConnectionPool, ConnectionPool
from redis.retry import Retry

from ..exceptions import PolicyError

_NEEDED = {"CACHE": "hold leases and marks", "BUFFER_CACHE": "seal batches"}


def make_pool(alias: str, timeout: float, setting: str = "CACHE") -> ConnectionPool:
    """A pool of its own to the server of a cache alias.

    It goes through django-redis' connection factory, so that its URL, password, Sentinel and TLS
    options hold. Its waits are `timeout` seconds and it never retries: redis-py's own defaults
    would hold a page for a minute while the server is away.

    Raises `PolicyError` where the alias is not one that the protocol can run on.
    """
    client = _client_of(alias, setting)
    location = settings.CACHES[alias].get("LOCATION") or ""
    urls = location.split(",") if isinstance(location, str) else list(location)
    factory = _factory_like(client.connection_factory)
    pool = factory.get_connection_pool(factory.make_connection_params(urls[0]))
    _be_impatient(pool.connection_kwargs, timeout)
    for sentinel in getattr(getattr(pool, "sentinel_manager", None), "sentinels", ()):
        _be_impatient(sentinel.connection_pool.connection_kwargs, timeout)
    # Each thread keeps one connection; a limit would only turn threads away from the cache.
    pool.max_connections = 2**31
    return pool


def _factory_like(factory: Any) -> Any:
    """The connection factory of a cache, made anew so that what is changed is not the cache's."""
    options = dict(factory.options)
    if issubclass(factory.pool_cls, BlockingConnectionPool):
        # It makes room for as many connections as it may have, and waits when they are out.
        options["CONNECTION_POOL_CLASS"] = "redis.connection.ConnectionPool"
        kwargs = dict(options.get("CONNECTION_POOL_KWARGS") or {})
        kwargs.pop("timeout", None)
        options["CONNECTION_POOL_KWARGS"] = kwargs
    return type(factory)(options)


def _be_impatient(kwargs: dict[str, Any], timeout: float) -> None:
    for name in ("retry_on_error", "retry_on_timeout"):
        kwargs.pop(name, None)
    kwargs.update(
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        retry=Retry(NoBackoff(), 0),
        decode_responses=False,
        # A page of fifty rows of a kilobyte in one read.
        socket_read_size=65536,
    )


def _client_of(alias: str, setting: str) -> Any:
    from django_redis.cache import RedisCache
    from django_redis.client import ShardClient
    from django_redis.client.default import DefaultClient

    try:
        backend = caches[alias]
    except InvalidCacheBackendError as error:
        raise PolicyError(
            f"CACHEPATTERNS[{setting!r}] is {alias!r}, which is not in CACHES. "
            f"Use one of: {', '.join(settings.CACHES)}."
        ) from error
    except ImportError as error:
        raise PolicyError(
            f"Cache {alias!r} cannot be used: {error}. Install what its backend needs, or point "
            f"CACHEPATTERNS[{setting!r}] at a django_redis.cache.RedisCache."
        ) from error
    if not isinstance(backend, RedisCache):
        raise PolicyError(
            f"Cache {alias!r} is a {type(backend).__name__}, which cannot {_NEEDED[setting]}. "
            f"Point CACHEPATTERNS[{setting!r}] at a django_redis.cache.RedisCache."
        )
    client = backend.client
    if isinstance(client, ShardClient) or not isinstance(client, DefaultClient):
        raise PolicyError(
            f"Cache {alias!r} uses {type(client).__name__}, which spreads keys over servers by "
            "itself. Use django_redis' DefaultClient or SentinelClient."
        )
    return client
