"""The reader and writer processes of one round."""

from __future__ import annotations

import os
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

import django

from .load import Load
from .processes import processes, received, spawn

if TYPE_CHECKING:
    from .reader import Reads
    from .writer import Writes

START_TIMEOUT = 60.0  # seconds until everyone has connected
ENABLED = "CACHEPATTERNS_ENABLED"


def run_round(load: Load, *, cached: bool) -> tuple[list[Reads], list[Writes]]:
    """Let everyone work for as long as the load says, and collect what they report."""
    crew = [("reader", n) for n in range(load.readers)]
    crew += [("writer", n) for n in range(load.writers)]
    barrier, stop = spawn.Barrier(len(crew), timeout=START_TIMEOUT), spawn.Event()
    os.environ[ENABLED] = "1" if cached else "0"
    with processes() as start:
        reports = [start(_work, role, n, load, barrier, stop) for role, n in crew]
        try:
            results = [received(report) for report in reports]
        except BaseException:
            stop.set()
            barrier.abort()
            raise
    return results[: load.readers], results[load.readers :]


def _work(role: str, index: int, load: Load, barrier: Any, stop: Any, report: Connection) -> None:
    """The life of one process."""
    django.setup()
    worker = _worker(role, load, index)
    barrier.wait()
    report.send(worker.run(stop.is_set))


def _worker(role: str, load: Load, index: int) -> Any:
    # Models can be imported only now.
    from .reader import Reader
    from .writer import Writer

    return {"reader": Reader, "writer": Writer}[role](load, index)
