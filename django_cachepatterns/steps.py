"""One script, run by blocking code or by a coroutine.

What a reader does is written once, as a generator that yields whatever has to be waited for: a
command to the store, a load, another reader of this process. The two drivers here wait for it in
their own ways.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from functools import cache
from typing import Any, NamedTuple, TypeVar

from asgiref.sync import sync_to_async

T = TypeVar("T")

THREADS = 32
"""Commands of coroutines that are under way at once; each of the threads has a connection."""


class Load(NamedTuple):
    """Load what was asked for."""

    asked: Sequence[Any]


class Join(NamedTuple):
    """Wait for a future, for some seconds; `None` is sent back where that is not enough."""

    future: Future[Any]
    seconds: float


class Database(NamedTuple):
    """Ask something of Django's connections, in the thread that has them."""

    ask: Callable[[], Any]


Step = Load | Join | Database | Callable[[], Any]
Script = Generator[Step, Any, T]


def run(script: Script[T], load: Callable[[Sequence[Any]], Any]) -> T:
    """Run a script in this thread.

    Args:
        load: what its `Load` steps call.
    """
    send: Callable[[Any], Step] = script.send
    given: Any = None
    while True:
        try:
            step = send(given)
        except StopIteration as stop:
            result: T = stop.value
            return result
        try:
            given, send = _done(step, load), script.send
        except BaseException as error:  # noqa: BLE001 - the script is where it is raised
            given, send = error, script.throw


async def arun(script: Script[T], load: Callable[[Sequence[Any]], Any]) -> T:
    """Run a script in a coroutine: commands wait in a thread, `load` is awaited."""
    send: Callable[[Any], Step] = script.send
    given: Any = None
    while True:
        try:
            step = send(given)
        except StopIteration as stop:
            result: T = stop.value
            return result
        try:
            given, send = await _adone(step, load), script.send
        except BaseException as error:  # noqa: BLE001 - as above
            given, send = error, script.throw


def _done(step: Step, load: Callable[[Sequence[Any]], Any]) -> Any:
    if isinstance(step, Load):
        return load(step.asked)
    if isinstance(step, Join):
        try:
            return step.future.result(step.seconds)
        except FutureTimeout:
            return None
    if isinstance(step, Database):
        return step.ask()
    return step()


async def _adone(step: Step, load: Callable[[Sequence[Any]], Any]) -> Any:
    if isinstance(step, Load):
        return await load(step.asked)
    if isinstance(step, Join):
        # Shielded: the future is everybody's, and goes on when this one is cancelled.
        shared = asyncio.shield(asyncio.wrap_future(step.future))
        try:
            return await asyncio.wait_for(shared, step.seconds)
        except TimeoutError:
            return None
    if isinstance(step, Database):
        return await sync_to_async(step.ask)()
    # Not Django's one thread for all: a wait for another's load would hold up everybody. Nor the
    # loop's own threads: where all of those wait for coroutines that read here, nobody could go on.
    return await asyncio.get_running_loop().run_in_executor(
        _executor(), contextvars.copy_context().run, step
    )


@cache
def _executor() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS, "cachepatterns-async")


os.register_at_fork(after_in_child=_executor.cache_clear)
