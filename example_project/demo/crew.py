"""The reader and writer processes of one round."""

from __future__ import annotations

import contextlib
import multiprocessing as mp
import os
import signal
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

import django

from .load import Load

if TYPE_CHECKING:
    from .reader import Reads
    from .writer import Writes

START_TIMEOUT = 60.0  # seconds until everyone has connected
ENABLED = "CACHEPATTERNS_ENABLED"

_spawn = mp.get_context("spawn")  # nothing inherited: no connections, no counts, no cached rows


def run_round(load: Load, *, cached: bool) -> tuple[list[Reads], list[Writes]]:
    """Let everyone work for as long as the load says, and collect what they report."""
    crew = [("reader", n) for n in range(load.readers)]
    crew += [("writer", n) for n in range(load.writers)]
    barrier, stop = _spawn.Barrier(len(crew), timeout=START_TIMEOUT), _spawn.Event()
    os.environ[ENABLED] = "1" if cached else "0"
    with _processes() as start:
        reports = [start(_work, role, n, load, barrier, stop) for role, n in crew]
        try:
            results = [_received(report) for report in reports]
        except BaseException:
            stop.set()
            barrier.abort()
            raise
    return results[: load.readers], results[load.readers :]


@contextlib.contextmanager
def _processes() -> Iterator[Callable[..., Connection]]:
    """Start processes with a pipe to each; at the end nobody is left."""
    running: list[Any] = []

    def start(target: Callable[..., None], *arguments: Any) -> Connection:
        receiver, sender = _spawn.Pipe(duplex=False)
        process = _spawn.Process(target=target, args=(*arguments, sender), daemon=True)
        process.start()
        running.append(process)
        sender.close()  # the child has its own: when that closes, so does the pipe
        return receiver

    try:
        yield start
    finally:
        for process in running:
            process.join(5)
            process.kill()


def _received(report: Connection) -> Any:
    try:
        return report.recv()
    except EOFError:
        raise RuntimeError("A process of the demo failed; its error is above.") from None


def _work(role: str, index: int, load: Load, barrier: Any, stop: Any, report: Connection) -> None:
    """The life of one process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is told, and tells everyone
    django.setup()
    worker = _worker(role, load, index)
    barrier.wait()
    report.send(worker.run(stop.is_set))


def _worker(role: str, load: Load, index: int) -> Any:
    # Models can be imported only now.
    from .reader import Reader
    from .writer import Writer

    return {"reader": Reader, "writer": Writer}[role](load, index)
