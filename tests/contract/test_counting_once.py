"""Commands that count, when the connection breaks at any point of them."""

from __future__ import annotations

from typing import Any

import pytest
import redis
from django.conf import settings
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from django_cachepatterns.exceptions import OutcomeUnknown, StoreUnavailable
from django_cachepatterns.keys import KeySpace
from django_cachepatterns.stores import RedisBuffers, channel
from django_cachepatterns.stores.buffers import COUNTED, FULL, REPEATED, Limits

from .wire import POINTS, Wire

KEYS = KeySpace(f"{settings.KEY_PREFIX}:once").buffer("counts")
LIMITS = Limits(b"100", b"0")


class Interrupt(BaseException):
    """What a signal handler raises."""


@pytest.fixture
def wire() -> Wire:
    return Wire(1)


@pytest.fixture
def buffers(wire: Wire) -> RedisBuffers:
    return RedisBuffers(wire.store)


def count(buffers: RedisBuffers, operation: bytes = b"", limits: Limits = LIMITS) -> int:
    return buffers.write("count", KEYS, limits, [b"1", b"42", b"1"], operation)


def total(buffers: RedisBuffers) -> int:
    return sum(each.total for each in buffers.backlog(KEYS))


def failing(error: BaseException) -> Any:
    def fail() -> None:
        raise error

    return fail


ERRORS = {
    "broken": RedisConnectionError("broken"),
    "timed out": RedisTimeoutError("timed out"),
    "interrupted": Interrupt(),
}


@pytest.mark.parametrize("what", ERRORS)
@pytest.mark.parametrize("point", POINTS)
def test_what_may_have_been_counted_is_not_sent_again(
    wire: Wire, buffers: RedisBuffers, point: str, what: str
) -> None:
    count(buffers)
    wire.at(point, 1, failing(ERRORS[what]))
    expected = Interrupt if what == "interrupted" else OutcomeUnknown
    opened = wire.opened
    sent = wire.sent
    with pytest.raises(expected):
        count(buffers)
    assert not wire.pending
    assert wire.sent - sent <= 1
    assert wire.opened == opened
    assert total(buffers) in (1, 2)


@pytest.mark.parametrize("what", ERRORS)
@pytest.mark.parametrize("point", POINTS)
def test_an_operation_that_is_tried_again_counts_once(
    wire: Wire, buffers: RedisBuffers, point: str, what: str
) -> None:
    wire.at(point, 1, failing(ERRORS[what]))
    with pytest.raises((StoreUnavailable, Interrupt)):
        count(buffers, b"op")
    for _ in range(3):
        assert count(buffers, b"op") in (COUNTED, REPEATED)
    assert total(buffers) == 1


def test_a_server_that_does_not_know_the_script_is_told_it(
    buffers: RedisBuffers, redis_client: redis.Redis
) -> None:
    assert count(buffers) == COUNTED
    redis_client.script_flush()
    assert count(buffers) == COUNTED
    redis_client.script_flush()
    buffers.seal(KEYS)
    redis_client.script_flush()
    batch = buffers.backlog(KEYS)[0].batch
    redis_client.script_flush()
    assert buffers.read(KEYS, batch)() == {b"42": b"2"}
    assert buffers.ack(KEYS, batch)()
    assert total(buffers) == 0


def test_a_connection_that_was_closed_while_it_was_idle_is_not_sent_on(
    wire: Wire, buffers: RedisBuffers, redis_client: redis.Redis, monkeypatch: Any
) -> None:
    count(buffers)
    monkeypatch.setattr(channel, "IDLE", -1)
    mine = wire.store.channel.call(b"*2\r\n$6\r\nCLIENT\r\n$2\r\nID\r\n")
    redis_client.client_kill_filter(_id=mine)
    assert count(buffers) == COUNTED
    assert total(buffers) == 2


def test_a_server_that_is_not_there_has_surely_not_counted(buffers: RedisBuffers) -> None:
    buffers._store._pool.connection_kwargs["port"] = 1
    with pytest.raises(StoreUnavailable) as refused:
        count(buffers)
    assert not isinstance(refused.value, OutcomeUnknown)


def test_batches_seal_themselves_and_fill_up(buffers: RedisBuffers) -> None:
    limits = Limits(b"2", b"5")
    answers = [
        buffers.write("count", KEYS, limits, [b"1", b"%d" % member, b"1"]) for member in range(7)
    ]
    assert answers == [COUNTED] * 5 + [FULL] * 2
    assert [each.rows for each in buffers.backlog(KEYS)] == [2, 2, 1]
    assert count(buffers, b"op", Limits(b"2", b"0")) == COUNTED
    assert count(buffers, b"op", limits) == REPEATED  # Full, but it was counted before.


def test_claims_and_pauses(buffers: RedisBuffers) -> None:
    assert buffers.claim(KEYS, b"a", 60_000)
    assert buffers.claim(KEYS, b"a", 60_000)
    assert not buffers.claim(KEYS, b"b", 60_000, in_pause=True)
    assert buffers.unclaim(KEYS, b"b") == 0
    assert not buffers.claim(KEYS, b"b", 60_000)
    pauses = []
    for _ in range(4):
        pauses.append(buffers.unclaim(KEYS, b"a", 500, 1500))
        assert not buffers.claim(KEYS, b"a", 60_000)
        assert buffers.claim(KEYS, b"a", 60_000, in_pause=True)
    assert pauses == [500, 1000, 1500, 1500]
    buffers.unclaim(KEYS, b"a")
    assert buffers.claim(KEYS, b"b", 60_000)
    assert buffers.unclaim(KEYS, b"b", 500, 1500) == 500  # One that worked ends the row.
