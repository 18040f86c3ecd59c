from __future__ import annotations

import pytest
import redis
from django.conf import settings

from django_cachepatterns import conf
from django_cachepatterns.stores import store_of

from .server import Server


@pytest.fixture
def server(redis_client: redis.Redis) -> Server:
    """A key on the real server, stepped by the real store."""
    key = settings.KEY_PREFIX.encode() + b":interleavings"
    return Server(store_of(conf.config()), redis_client, key)
