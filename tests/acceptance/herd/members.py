"""The threads of one process of a herd."""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from django.db import connection

from django_cachepatterns import hooks, metrics
from tests.testapp.models import Item

PATIENCE = 30.0


class Member(NamedTuple):
    """What one reader has met with."""

    stock: int
    loads: int
    """SQL statements on the table that its read needed."""
    waited: bool
    """Whether it waited for another's load."""
    seconds: float


def stampede(pk: int, threads: int, arrived: Any, everyone: int) -> list[Member]:
    """Read one row in many threads, none of which has it before all have asked for it.

    Args:
        arrived: a number shared by all processes, of those that are about to read.
        everyone: how many there are in all of them.
    """
    together = threading.Barrier(threads, timeout=PATIENCE)

    def read() -> Member:
        together.wait()
        return _read(pk, arrived)

    def hold(loaded: hooks.Loaded) -> None:
        ends = time.monotonic() + PATIENCE
        while arrived.value < everyone and time.monotonic() < ends:
            time.sleep(0.01)
        time.sleep(2)  # The last to arrive are still on their way to the cache.

    with hooks.listening(before_fill=hold), ThreadPoolExecutor(threads) as pool:
        return [done.result() for done in [pool.submit(read) for _ in range(threads)]]


def load_and_die(pk: int) -> None:
    """Load a row, and be killed with the lease in hand."""
    with hooks.listening(before_fill=lambda loaded: os.kill(os.getpid(), signal.SIGKILL)):
        Item.objects.get(pk=pk)


def _read(pk: int, arrived: Any) -> Member:
    loads = 0

    def count(execute: Any, sql: str, *arguments: Any) -> Any:
        nonlocal loads
        loads += Item._meta.db_table in sql
        return execute(sql, *arguments)

    with connection.execute_wrapper(count):
        with arrived.get_lock():
            arrived.value += 1
        began = time.monotonic()
        stock = Item.objects.get(pk=pk).stock
        seconds = time.monotonic() - began
    waited = metrics.tally().get((Item._meta.label_lower, "wait"), 0) > 0
    connection.close()
    return Member(stock, loads, waited, seconds)
