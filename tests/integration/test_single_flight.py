"""Threads and coroutines of one process that want one entry, on the real server."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
from django.conf import settings

from django_cachepatterns import entry
from django_cachepatterns.policy import CachePolicy
from django_cachepatterns.reader import Reader
from django_cachepatterns.sources import Loaded
from django_cachepatterns.stampede.flights import Flights
from django_cachepatterns.stores import RedisStore
from django_cachepatterns.stores.pool import make_pool

KEY = settings.KEY_PREFIX.encode() + b":flight"
TAG = KEY + b":tag"
POLICY = CachePolicy(ttl=60, lease_wait=5)


class Held:
    """A value whose first loads wait until they are let go.

    Args:
        held: how many loads wait.
    """

    name, fingerprint, tag, policy = "tests.flight", b"8 bytes.", None, POLICY

    def __init__(self, held: int = 1) -> None:
        self.value = "v0"
        self.loads: list[str] = []
        self.begun, self.go = threading.Semaphore(0), threading.Event()
        self.fails: BaseException | None = None
        self._held = held

    def entry_key(self, asked: str) -> bytes:
        return KEY

    def tags(self, asked: str) -> tuple[bytes, ...]:
        return (TAG,)

    def may_fill(self, asked: str) -> bool:
        return True

    def recipe(self, asked: str) -> None:
        return None

    def encode(self, value: str) -> bytes:
        return value.encode()

    def decode(self, payload: bytes) -> str:
        return payload.decode()

    def load(self, asked: Sequence[str]) -> Loaded:
        value, fails = self.value, self.fails
        self.loads.append(value)
        self.begun.release()
        if len(self.loads) <= self._held:
            assert self.go.wait(10)
            if fails is not None:
                raise fails
        return Loaded(dict.fromkeys(asked, value), publish=True)

    async def aload(self, asked: Sequence[str]) -> Loaded:
        value = self.value
        self.loads.append(value)
        self.begun.release()
        while len(self.loads) <= self._held and not self.go.is_set():
            await asyncio.sleep(0.001)
        return Loaded(dict.fromkeys(asked, value), publish=True)


class Crew:
    """Readers of one process, each in a thread."""

    def __init__(self, source: Any, store: RedisStore) -> None:
        self.source, self.store, self.flights = source, store, Flights()
        self._threads = ThreadPoolExecutor(32)

    def reader(self, policy: CachePolicy = POLICY) -> Reader[str, str]:
        self.source.policy = policy
        return Reader(self.source, self.store, flights=self.flights)

    def read(self, policy: CachePolicy = POLICY) -> Any:
        """Begin to read in another thread; gives a future."""
        reader = self.reader(policy)
        return self._threads.submit(lambda: reader.read(["x"])["x"])

    def lead(self) -> Any:
        """Begin to read, and wait until the load is under way."""
        future = self.read()
        assert self.source.begun.acquire(timeout=10)
        return future

    def join(self, number: int) -> list[Any]:
        """Begin to read in some threads, and wait until all have joined the flight."""
        (flight,) = self.flights._under_way.values()
        wanted = flight.passengers + number
        futures = [self.read() for _ in range(number)]
        wait_until(lambda: flight.passengers >= wanted)
        return futures


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


@pytest.fixture
def source() -> Held:
    return Held()


@pytest.fixture
def crew(source: Held) -> Any:
    store = RedisStore(make_pool("default", 5))
    made = Crew(source, store)
    yield made
    source.go.set()
    made._threads.shutdown()
    store.close()


def commit(crew: Crew, value: str, key: bytes) -> None:
    """Write a value, from begin to end."""
    writer = entry.new_token()
    crew.store.begin_write([key], writer, 60_000)
    crew.source.value = value
    crew.store.end_write([key], writer)


def test_one_loads_and_who_joins_is_given_what_it_stored(crew: Crew, source: Held) -> None:
    leader = crew.lead()
    passengers = crew.join(8)
    source.go.set()
    assert [each.result(10) for each in [leader, *passengers]] == ["v0"] * 9
    assert source.loads == ["v0"]
    assert not crew.flights._under_way


@pytest.mark.parametrize("written", [KEY, TAG], ids=["the entry", "its tag"])
def test_who_joins_after_a_write_is_not_given_what_was_loaded_before_it(
    crew: Crew, source: Held, written: bytes
) -> None:
    leader = crew.lead()
    early = crew.join(2)
    commit(crew, "v1", written)
    late = crew.join(4)
    source.go.set()
    assert leader.result(10) == "v0", "What was current when it began."
    assert {each.result(10) for each in early} <= {"v0", "v1"}
    assert [each.result(10) for each in late] == ["v1"] * 4
    assert source.loads == ["v0", "v1"]
    assert crew.read().result(10) == "v1"
    assert source.loads == ["v0", "v1"]


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_when_the_leader_fails_one_of_those_who_joined_goes(
    crew: Crew, source: Held, error: BaseException
) -> None:
    source.fails = error
    leader = crew.lead()
    passengers = crew.join(5)
    source.go.set()
    with pytest.raises(type(error)):
        leader.result(10)
    assert [each.result(10) for each in passengers] == ["v0"] * 5
    assert source.loads == ["v0"] * 2, "The one that failed, and one of those who had joined."


def test_a_failure_is_not_given_to_those_who_joined(crew: Crew, source: Held) -> None:
    source.fails = ValueError("no")
    leader = crew.lead()
    (passenger,) = crew.join(1)
    source.fails = None
    source.go.set()
    with pytest.raises(ValueError, match="no"):
        leader.result(10)
    assert passenger.result(10) == "v0"


def test_who_joined_waits_no_longer_than_its_patience(
    crew: Crew, source: Held, redis_client: redis.Redis
) -> None:
    leader = crew.lead()
    began = time.monotonic()
    impatient = crew.read(POLICY.using(lease_wait=0.05))
    assert impatient.result(10) == "v0"
    assert time.monotonic() - began < 5
    assert (redis_client.get(KEY) or b"")[:1] == entry.LEASE, "It has stored nothing."
    source.go.set()
    assert leader.result(10) == "v0"
    assert (redis_client.get(KEY) or b"")[:1] == entry.VALUE


def test_a_coroutine_joins_the_flight_of_a_thread(crew: Crew, source: Held) -> None:
    leader = crew.lead()
    (flight,) = crew.flights._under_way.values()

    async def main() -> str:
        task = asyncio.create_task(crew.reader().aread(["x"]))
        while not flight.passengers:
            await asyncio.sleep(0.001)
        source.go.set()
        return (await task)["x"]

    assert asyncio.run(main()) == "v0"
    assert leader.result(10) == "v0"
    assert source.loads == ["v0"]


# Coroutines that are cancelled


def test_a_coroutine_that_is_cancelled_in_its_load_gives_its_lease_up(
    crew: Crew, source: Held, redis_client: redis.Redis
) -> None:
    async def main() -> str:
        leader = asyncio.create_task(crew.reader().aread(["x"]))
        while not source.loads:
            await asyncio.sleep(0.001)
        assert (redis_client.get(KEY) or b"")[:1] == entry.LEASE
        passenger = asyncio.create_task(crew.reader().aread(["x"]))
        (flight,) = crew.flights._under_way.values()
        while not flight.passengers:
            await asyncio.sleep(0.001)
        leader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leader
        return (await passenger)["x"]

    began = time.monotonic()
    assert asyncio.run(main()) == "v0"
    assert time.monotonic() - began < POLICY.lease_wait, "It did not wait for the lease to lapse."
    assert source.loads == ["v0"] * 2
    assert (redis_client.get(KEY) or b"")[:1] == entry.VALUE


def test_a_coroutine_that_is_cancelled_while_it_waits_disturbs_nobody(
    crew: Crew, source: Held, redis_client: redis.Redis
) -> None:
    async def main() -> list[str]:
        leader = asyncio.create_task(crew.reader().aread(["x"]))
        while not source.loads:
            await asyncio.sleep(0.001)
        (flight,) = crew.flights._under_way.values()
        passengers = [asyncio.create_task(crew.reader().aread(["x"])) for _ in range(3)]
        while flight.passengers < 3:
            await asyncio.sleep(0.001)
        passengers[1].cancel()
        with pytest.raises(asyncio.CancelledError):
            await passengers[1]
        source.go.set()
        found = await asyncio.gather(leader, passengers[0], passengers[2])
        return [each["x"] for each in found]

    assert asyncio.run(main()) == ["v0"] * 3
    assert source.loads == ["v0"]
    assert (redis_client.get(KEY) or b"")[:1] == entry.VALUE


def test_a_coroutine_whose_loop_ends_leaves_no_flight_behind(crew: Crew, source: Held) -> None:
    async def main() -> None:
        task = asyncio.create_task(crew.reader().aread(["x"]))
        while not source.loads:
            await asyncio.sleep(0.001)
        assert not task.done()

    asyncio.run(main())  # It cancels what is still under way.
    assert not crew.flights._under_way
    assert crew.read().result(10) == "v0"


def test_coroutines_and_threads_of_one_server_have_one_epoch(
    crew: Crew, source: Held, redis_client: redis.Redis
) -> None:
    """What one has stored is not useless to the other."""
    source.go.set()

    async def main() -> str:
        return (await crew.reader().aread(["x"]))["x"]

    assert asyncio.run(main()) == "v0"
    data = redis_client.get(KEY)
    assert data is not None
    run_id = redis_client.info("server")["run_id"]
    assert bytes(data)[10:18] == bytes.fromhex(run_id)[:8]
    assert crew.read().result(10) == "v0"
    assert asyncio.run(main()) == "v0"
    assert source.loads == ["v0"]
