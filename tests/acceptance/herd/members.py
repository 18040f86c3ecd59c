"""The threads of one process of a herd."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from django.db import connection

from django_cachepatterns import hooks, metrics
from tests.testapp.models import Item

from .targets import KEY, Target, target

PATIENCE = 30.0
HOLD = 1.5
"""Seconds that a load takes from when all have asked: the last are still on their way then."""


class Member(NamedTuple):
    """What one reader has met with."""

    value: Any
    loads: int
    """SQL statements on the table that its read needed."""
    waited: bool
    """Whether it waited for another's load."""
    seconds: float


def stampede(wanted: Sequence[tuple[str, Any]], threads: int, everyone: int) -> list[list[Member]]:
    """Read values in many threads, one after another; none is there before all have asked for it.

    Args:
        wanted: the name of each target, with a number shared by all processes: how many have asked.
        everyone: how many there are in all processes.
    """
    with ThreadPoolExecutor(threads) as pool:
        return [_stampede(target(name), pool, threads, *each, everyone) for name, *each in wanted]


def _stampede(
    wanted: Target, pool: ThreadPoolExecutor, threads: int, arrived: Any, everyone: int
) -> list[Member]:
    together = threading.Barrier(threads, timeout=PATIENCE)

    def read() -> Member:
        together.wait()
        return _read(wanted, arrived)

    def hold(loaded: hooks.Loaded) -> None:
        wait_for_all(arrived, everyone)
        time.sleep(HOLD)

    with hooks.listening(before_fill=hold):
        return [done.result() for done in [pool.submit(read) for _ in range(threads)]]


def wait_for_all(arrived: Any, everyone: int) -> None:
    """Return when everyone is about to read."""
    ends = time.monotonic() + PATIENCE
    while arrived.value < everyone and time.monotonic() < ends:
        time.sleep(0.01)


def load_and_die() -> None:
    """Load a row, and be killed with the lease in hand."""
    with hooks.listening(before_fill=lambda loaded: os.kill(os.getpid(), signal.SIGKILL)):
        Item.objects.get(pk=KEY)


def _read(wanted: Target, arrived: Any) -> Member:
    loads = 0

    def count(execute: Any, sql: str, *arguments: Any) -> Any:
        nonlocal loads
        loads += wanted.table in sql
        return execute(sql, *arguments)

    waits = _waits()
    with connection.execute_wrapper(count):
        with arrived.get_lock():
            arrived.value += 1
        began = time.monotonic()
        value = wanted.read()
        seconds = time.monotonic() - began
    connection.close()
    return Member(value, loads, _waits() > waits, seconds)


def _waits() -> int:
    """Of this thread."""
    return sum(number for (_, name), number in metrics.tally().items() if name == "wait")
