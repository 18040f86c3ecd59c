from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import redis
from django.conf import LazySettings, settings

from django_cachepatterns import conf
from django_cachepatterns.log_events import seldom
from example_project.servers import Valkey, running_valkey


@pytest.fixture(scope="session")
def redis_client() -> Iterator[redis.Redis]:
    """A bare connection to the server under test, whatever a test does to CACHES."""
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        yield client


@pytest.fixture(autouse=True)
def _no_keys_left_behind(redis_client: redis.Redis) -> Iterator[None]:
    """Delete what a test has stored. The server may be anyone's: its own keys, never FLUSHDB."""
    yield
    own = f"*{settings.KEY_PREFIX}:*"  # a tenant may stand in front
    if keys := list(redis_client.scan_iter(own, count=1000)):
        redis_client.unlink(*keys)


@pytest.fixture(autouse=True)
def _everything_is_said_again() -> None:
    """What a test makes the library log is not held back because another test has."""
    seldom.forget()


@pytest.fixture
def impatient(settings: LazySettings) -> None:
    """The library's own TIMEOUT, for servers that are meant to hang; see the tests' settings."""
    timeout = conf.DEFAULTS["TIMEOUT"]
    settings.CACHEPATTERNS = {**settings.CACHEPATTERNS, "TIMEOUT": timeout}


@pytest.fixture
def own_valkey() -> Iterator[Valkey]:
    """A Valkey server of the test's own, to kill, pause and restart."""
    with running_valkey() as server:
        yield server
