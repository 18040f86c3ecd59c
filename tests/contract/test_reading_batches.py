"""What a flush reads of a batch: all of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.conf import settings

from django_cachepatterns import conf
from django_cachepatterns.keys import KeySpace
from django_cachepatterns.stores import RedisBuffers, buffers, buffers_of
from django_cachepatterns.stores.buffers import Limits

KEYS = KeySpace(f"{settings.KEY_PREFIX}:reading").buffer("counts")
LIMITS = Limits(b"10000", b"0")


@pytest.fixture
def server() -> Iterator[RedisBuffers]:
    made = buffers_of(conf.config())
    yield made
    made.forget(KEYS)


def sealed(server: RedisBuffers, members: int) -> str:
    """The id of a batch with so many members, each counted as often as its number says."""
    for start in range(0, members, 1000):
        numbers = range(start, min(start + 1000, members))
        pairs = [part for number in numbers for part in (b"%d" % number, b"%d" % number)]
        server.write("count", KEYS, LIMITS, [b"%d" % sum(numbers), *pairs])
    (batch,) = server.seal(KEYS)[1]
    return batch


def expected(members: int) -> dict[bytes, bytes]:
    return {b"%d" % number: b"%d" % number for number in range(members)}


@pytest.mark.parametrize("members", [3, 5000])
def test_a_batch_is_read_whole(server: RedisBuffers, members: int) -> None:
    assert server.read(KEYS, sealed(server, members))() == expected(members)


def test_a_batch_that_is_more_than_one_step_is_read_whole(
    server: RedisBuffers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buffers, "MOST_FIELDS", b"10")
    assert server.read(KEYS, sealed(server, 5000))() == expected(5000)


def test_a_batch_that_was_taken_out_holds_nothing(server: RedisBuffers) -> None:
    batch = sealed(server, 3)
    assert server.ack(KEYS, batch)()
    assert server.read(KEYS, batch)() == {}
