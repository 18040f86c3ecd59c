"""Processes of the demo: they begin with nothing inherited, and none is left at the end."""

from __future__ import annotations

import contextlib
import multiprocessing as mp
import signal
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any

# Nothing inherited: no connections, no counts, no cached rows.
spawn = mp.get_context("spawn")
PATIENCE = 8.0
"""Seconds that a process has to tidy up."""


@contextlib.contextmanager
def processes() -> Iterator[Callable[..., Connection]]:
    """Start processes with a pipe to each; at the end nobody is left."""
    running: list[Any] = []

    def start(target: Callable[..., None], *arguments: Any) -> Connection:
        receiver, sender = spawn.Pipe(duplex=False)
        process = spawn.Process(target=_run, args=(target, *arguments, sender), daemon=True)
        process.start()
        running.append(process)
        sender.close()  # The child has its own: when that closes, so does the pipe.
        return receiver

    try:
        yield start
    finally:
        for process in running:
            process.join(PATIENCE)
            process.kill()


def received(report: Connection) -> Any:
    """What a process reports; raises `RuntimeError` where it has failed."""
    try:
        return report.recv()
    except EOFError:
        raise RuntimeError("A process of the demo failed; its error is above.") from None


def is_over(stop: Any) -> bool:
    """Whether a process is to end: it was told to, or nobody is left to tell it."""
    parent = mp.parent_process()
    return stop.is_set() or parent is None or not parent.is_alive()


def _run(target: Callable[..., None], *arguments: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # The parent is told, and tells everyone.
    target(*arguments)
