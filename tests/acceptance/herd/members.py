"""The threads of one process of a herd."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple

from django.db import connection

from django_cachepatterns import hooks, metrics
from tests.testapp.models import Item

from .targets import KEY, Target, target

PATIENCE = 30.0


class Member(NamedTuple):
    """What one reader has met with."""

    value: Any
    loads: int
    """SQL statements on the table that its read needed."""
    waited: bool
    """Whether it waited for another's load."""
    seconds: float


def stampede(wanted: Sequence[tuple[str, Any]], threads: int, everyone: int) -> list[list[Member]]:
    """Read values in many threads, one after another; none is there before all others wait for it.

    Args:
        wanted: the name of each target, with a number shared by all processes: how many wait.
        everyone: how many there are in all processes.
    """
    with ThreadPoolExecutor(threads) as pool:
        return [_stampede(target(name), pool, threads, *each, everyone) for name, *each in wanted]


def _stampede(
    wanted: Target, pool: ThreadPoolExecutor, threads: int, waiting: Any, everyone: int
) -> list[Member]:
    together = threading.Barrier(threads, timeout=PATIENCE)

    def read() -> Member:
        together.wait()
        return _read(wanted)

    def hold(loaded: hooks.Loaded) -> None:
        wait_for_all(waiting, everyone - 1)

    with hooks.listening(before_fill=hold), _reported(waiting):
        return [done.result() for done in [pool.submit(read) for _ in range(threads)]]


def wait_for_all(waiting: Any, number: int) -> None:
    """Return when so many readers wait for another's load."""
    ends = time.monotonic() + PATIENCE
    while waiting.value < number and time.monotonic() < ends:
        time.sleep(0.01)


@contextmanager
def _reported(waiting: Any) -> Iterator[None]:
    """Within the block, add to a shared number the readers of this process that wait."""
    done = threading.Event()
    # Now, and not in the thread: that may come to it when some wait already, and leave them out.
    before = metrics.snapshot()["wait"]

    def report() -> None:
        told = before
        while not done.wait(0.01):
            now = metrics.snapshot()["wait"]
            with waiting.get_lock():
                waiting.value += now - told
            told = now

    reporter = threading.Thread(target=report)
    reporter.start()
    try:
        yield
    finally:
        done.set()
        reporter.join()


def load_and_die() -> None:
    """Load a row, and be killed with the lease in hand."""
    with hooks.listening(before_fill=lambda loaded: os.kill(os.getpid(), signal.SIGKILL)):
        Item.objects.get(pk=KEY)


def _read(wanted: Target) -> Member:
    loads = 0

    def count(execute: Any, sql: str, *arguments: Any) -> Any:
        nonlocal loads
        loads += wanted.table in sql
        return execute(sql, *arguments)

    waits = _waits()
    with connection.execute_wrapper(count):
        began = time.monotonic()
        value = wanted.read()
        seconds = time.monotonic() - began
    connection.close()
    return Member(value, loads, _waits() > waits, seconds)


def _waits() -> int:
    """Of this thread."""
    return sum(number for (_, name), number in metrics.tally().items() if name == "wait")
