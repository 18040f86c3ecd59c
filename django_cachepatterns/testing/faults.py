"""A cache server that is away or slow, for a block of a test."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import ConnectionError as RedisConnectionError

from .wire import before_sending


@contextmanager
def outage() -> Iterator[None]:
    """Within the block the cache server cannot be reached by this process.

    Reads go to the database; writes go on, and what they could not tell the cache is logged.
    """

    def refuse(packed: bytes) -> None:
        raise RedisConnectionError("An outage() of django_cachepatterns.testing.")

    with before_sending(refuse):
        yield


@contextmanager
def latency(milliseconds: float) -> Iterator[None]:
    """Within the block each trip to the cache server takes so much longer, in this process."""
    with before_sending(lambda packed: time.sleep(milliseconds / 1000)):
        yield
