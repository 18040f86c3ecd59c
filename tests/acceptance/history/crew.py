"""The processes of a run."""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing as mp
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from .scene import Scene

START_TIMEOUT = 90.0  # seconds until everyone has come

spawn = mp.get_context("spawn")  # nothing inherited: no connections, no counts, no cached rows


class Job(NamedTuple):
    """What a process does: a function, named because its module may need Django set up first."""

    function: str
    """`module:name`, called with the arguments; what it returns is the result."""
    arguments: tuple[Any, ...] = ()


class Crew:
    """Processes that were started together and are at work.

    Args:
        reports: a pipe from each process.
    """

    def __init__(self, reports: Sequence[Connection]) -> None:
        self._reports = reports

    def results(self, timeout: float, which: slice = slice(None)) -> list[Any]:
        """What each process returns, or some of them, within `timeout` seconds for each."""
        return [_received(report, timeout) for report in self._reports[which]]

    def wait(self, event: Any, timeout: float, meanwhile: Callable[[], object]) -> None:
        """Wait for an event, and do something again and again until it comes.

        Raises `RuntimeError` where a process ends before that.
        """
        ends = time.monotonic() + timeout
        while not event.wait(0.01):
            meanwhile()
            if any(report.poll() for report in self._reports):
                raise RuntimeError("A process of the run has ended; its error may be above.")
            if time.monotonic() > ends:
                raise RuntimeError(f"A process of the run was not done within {timeout:g} s.")


@contextlib.contextmanager
def at_work(scene: Scene, jobs: Sequence[Job]) -> Iterator[Crew]:
    """Start processes. All begin at once; at the end of the block nobody is left."""
    everyone = spawn.Barrier(len(jobs) + 1, timeout=START_TIMEOUT)
    processes, reports = [], []
    try:
        for job in jobs:
            receiver, sender = spawn.Pipe(duplex=False)
            process = spawn.Process(target=_life, args=(scene, job, everyone, sender), daemon=True)
            process.start()
            sender.close()  # the child has its own: when that closes, so does the pipe
            processes.append(process)
            reports.append(receiver)
        everyone.wait()
        yield Crew(reports)
    finally:
        everyone.abort()
        for process in processes:
            process.join(0.1)
            process.kill()
            process.join()


def run(scene: Scene, jobs: Sequence[Job], timeout: float) -> list[Any]:
    """Start processes and wait for what they return."""
    with at_work(scene, jobs) as crew:
        return crew.results(timeout)


def _received(report: Connection, timeout: float) -> Any:
    try:
        if report.poll(timeout):
            return report.recv()
    except EOFError:
        raise RuntimeError("A process of the run failed; its error is above.") from None
    raise RuntimeError(f"A process of the run was not done within {timeout:g} s.")


def _life(scene: Scene, job: Job, everyone: Any, report: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is told, and ends everyone
    scene.enter()
    module, name = job.function.split(":")
    function = getattr(importlib.import_module(module), name)
    everyone.wait()
    report.send(function(*job.arguments))
