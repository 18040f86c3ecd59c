"""Coroutines that read: cancelled at any step, and from threads that wait for them."""

from __future__ import annotations

import asyncio
import itertools
import threading
from typing import Any

import pytest
import redis
from asgiref.sync import sync_to_async

from django_cachepatterns import ReadThrough, cache_aside
from django_cachepatterns.stores.redis import RedisStore

pytestmark = pytest.mark.django_db(transaction=True)

numbers = itertools.count(1)


@pytest.mark.parametrize("step", ["get_many", "lease", "lease_over", "fill"])
def test_a_reader_cancelled_at_any_step_holds_nobody_up(
    monkeypatch: pytest.MonkeyPatch, redis_client: redis.Redis, step: str
) -> None:
    begun, go = threading.Event(), threading.Event()
    command = getattr(RedisStore, step)

    def slowly(*args: Any) -> Any:
        begun.set()
        assert go.wait(10)
        return command(*args)

    @cache_aside(key=f"cancelled-{next(numbers)}", lease_wait=30, lease_ttl=30)
    async def function() -> int:
        return 1

    async def main() -> None:
        if step == "lease_over":
            await function()
            key = next(redis_client.scan_iter(f"*:fn:{function.key()}"))
            redis_client.set(key, b"garbage")
        with monkeypatch.context() as patch:
            patch.setattr(RedisStore, step, slowly)
            reader = asyncio.create_task(function())
            await asyncio.to_thread(begun.wait, 10)
            reader.cancel()
            await asyncio.sleep(0.02)  # Whatever it gives back, it gives back before its command.
            go.set()
            with pytest.raises(asyncio.CancelledError):
                await reader
        await asyncio.sleep(0.02)
        assert await asyncio.wait_for(function(), 5) == 1

    asyncio.run(main())


def test_a_herd_whose_leader_is_cancelled() -> None:
    calls: list[asyncio.Task[Any] | None] = []

    @cache_aside(key=f"cancelled-{next(numbers)}")
    async def function() -> int:
        calls.append(asyncio.current_task())
        await asyncio.sleep(0.02)
        return 1

    async def main() -> None:
        herd = [asyncio.create_task(function()) for _ in range(50)]
        while not calls:
            await asyncio.sleep(0.001)
        assert calls[0] is not None
        calls[0].cancel()
        results = await asyncio.gather(*herd, return_exceptions=True)
        assert results.count(1) == 49

    asyncio.run(main())
    assert len(calls) == 2


def test_more_waiting_threads_than_the_loop_has() -> None:
    async def load(key: int) -> int:
        await asyncio.sleep(0.01)
        return key

    values = ReadThrough(f"threads-{next(numbers)}", load=load)

    async def main() -> list[Any]:
        get = sync_to_async(values.get, thread_sensitive=False)
        return await asyncio.wait_for(asyncio.gather(*map(get, range(50))), 20)

    assert asyncio.run(main()) == list(range(50))


def test_one_coroutine_function_in_several_loops() -> None:
    calls: list[int] = []

    @cache_aside(key=f"loops-{next(numbers)}")
    async def function() -> int:
        calls.append(1)
        await asyncio.sleep(0.1)
        return 1

    async def several() -> list[int]:
        return await asyncio.gather(*(function() for _ in range(10)))

    found: list[int] = []
    loops = [
        threading.Thread(target=lambda: found.extend(asyncio.run(several()))) for _ in range(4)
    ]
    for each in loops:
        each.start()
    for each in loops:
        each.join(20)
    assert found == [1] * 40
    assert len(calls) == 1
