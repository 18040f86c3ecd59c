from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from django.conf import settings

from django_cachepatterns.stampede import revalidate
from django_cachepatterns.stores import RedisStore
from django_cachepatterns.stores.pool import make_pool

from .server import Server


@pytest.fixture
def server(redis_client: redis.Redis) -> Iterator[Server]:
    """A key on the real server, stepped by the real store, which has patience here."""
    key = settings.KEY_PREFIX.encode() + b":interleavings"
    store = RedisStore(make_pool("default", 5))
    yield Server(store, redis_client, key)
    store.close()


@pytest.fixture
def tag(server: Server) -> Server:
    """A tag, beside the entry."""
    return server.beside("tag")


@pytest.fixture
def _nobody_refreshes_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refreshes are actors of their own."""
    monkeypatch.setattr(revalidate, "later", lambda reader, asked: None)
