"""Processes full of threads that want one value at the same moment."""

from __future__ import annotations

import multiprocessing as mp
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import django

PROCESSES = 4
PATIENCE = 60.0

_spawn = mp.get_context("spawn")


class Visit(NamedTuple):
    """One reader's. Nanoseconds of CLOCK_MONOTONIC, which all processes share."""

    began: int
    ended: int
    loaded_at: int
    """When its load ended; 0 where it has not loaded."""


@dataclass(frozen=True)
class Round:
    """What everyone met with.

    Args:
        visits: of all readers.
        loads: how many there were.
    """

    visits: list[Visit]
    loads: int

    @property
    def seconds(self) -> float:
        """From the first who asked until the last had the value."""
        first = min(visit.began for visit in self.visits)
        return (max(visit.ended for visit in self.visits) - first) / 1e9

    @property
    def waits(self) -> list[float]:
        """Milliseconds from the end of the load until each reader who did not load had it."""
        end = max(visit.loaded_at for visit in self.visits)
        return [(visit.ended - end) / 1e6 for visit in self.visits if not visit.loaded_at]


class Crowd:
    """The processes; each round is for a value that nobody has asked for before.

    Args:
        members: the processes' ends.
        first: the number of the first value; benchmarks of one session share the server.
    """

    def __init__(self, members: list[Connection], first: int) -> None:
        self._members = members
        self._number = first

    def round(self, contender: str) -> Round:
        """Have everyone ask for one value."""
        from .wanted import loads_of

        self._number += 1
        for member in self._members:
            member.send((contender, self._number))
        visits: list[Visit] = []
        for member in self._members:
            if not member.poll(PATIENCE):
                raise RuntimeError(f"{contender}: not done within {PATIENCE:g} s")
            visits += member.recv()
        return Round(visits, loads_of(self._number))


@contextmanager
def crowd(threads: int, first: int) -> Iterator[Crowd]:
    """A crowd of so many threads in each of its processes; see `Crowd`."""
    everyone = _spawn.Barrier(PROCESSES, timeout=PATIENCE)
    pipes = [_spawn.Pipe() for _ in range(PROCESSES)]
    members = [
        _spawn.Process(target=_life, args=(theirs, everyone, threads), daemon=True)
        for _, theirs in pipes
    ]
    for member in members:
        member.start()
    for _, theirs in pipes:
        theirs.close()
    try:
        yield Crowd([ours for ours, _ in pipes], first)
    finally:
        for ours, _ in pipes:
            ours.close()
        for member in members:
            member.join(5)
            member.kill()


def _life(orders: Connection, everyone: Any, threads: int) -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.settings"
    django.setup()
    together = threading.Barrier(threads, timeout=PATIENCE)
    with ThreadPoolExecutor(threads) as pool:
        while True:
            try:
                contender, number = orders.recv()
            except EOFError:
                return
            everyone.wait()
            visits = [pool.submit(_visit, contender, number, together) for _ in range(threads)]
            orders.send([visit.result() for visit in visits])


def _visit(contender: str, number: int, together: threading.Barrier) -> Visit:
    from .wanted import CONTENDERS, mine

    read = CONTENDERS[contender]
    mine.loaded_at = 0
    together.wait()
    began = time.monotonic_ns()
    read(number)
    return Visit(began, time.monotonic_ns(), mine.loaded_at)
