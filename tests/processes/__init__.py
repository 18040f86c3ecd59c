"""Programs of their own, for tests of how processes begin and end, on the servers of the test."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from django.db import connections

ROOT = Path(__file__).parent.parent.parent
PATIENCE = 60.0


def environment(**changes: Any) -> dict[str, str]:
    """What a program of a test finds its way by: the test's databases, servers and keys."""
    names = {alias: connections[alias].settings_dict["NAME"] for alias in connections}
    # Coverage, xdist and others of the test's own have no business in it.
    found = {key: value for key, value in os.environ.items() if not key.startswith("COV_")}
    return found | {
        "DJANGO_SETTINGS_MODULE": "tests.processes.settings",
        "PROCESS_DATABASES": json.dumps(names),
        "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]),
        "PYTHONUNBUFFERED": "1",
        **{key: str(value) for key, value in changes.items()},
    }


def run(*arguments: str, **changes: Any) -> subprocess.CompletedProcess[str]:
    """Run a Python program to its end."""
    return subprocess.run(
        [sys.executable, *arguments],
        env=environment(**changes),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


class Program:
    """A Python program that runs beside the test; what it says goes to a file."""

    def __init__(
        self, said: Path, *arguments: str, stdin: int | None = None, **changes: Any
    ) -> None:
        self._said = said
        with said.open("w") as output:
            self._process = subprocess.Popen(
                [sys.executable, *arguments],
                env=environment(**changes),
                cwd=ROOT,
                stdin=stdin,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def said(self) -> str:
        """What it has said so far."""
        return self._said.read_text()

    def wait_for(self, text: str) -> None:
        """Wait until it has said something."""
        self.wait_until(lambda: text in self.said())

    def wait_until(self, found: Callable[[], object]) -> None:
        """Wait until something is so, which the program is to bring about."""
        ends = time.monotonic() + PATIENCE
        while not found():
            assert self._process.poll() is None, f"It has ended: {self.said()}"
            assert time.monotonic() < ends, f"It has only said: {self.said()}"
            time.sleep(0.02)

    def signal(self, number: int) -> None:
        """Send it a signal, and to the processes that it has forked."""
        os.killpg(self._process.pid, number)

    def tell(self, number: int) -> None:
        """Send a signal to it alone."""
        self._process.send_signal(number)

    def wait(self) -> int:
        """Its exit code."""
        return self._process.wait(PATIENCE)

    def kill(self) -> None:
        """Have nothing of it left."""
        with contextlib.suppress(ProcessLookupError):
            self.signal(signal.SIGKILL)
        self._process.wait(PATIENCE)


@contextlib.contextmanager
def program(
    said: Path, *arguments: str, stdin: int | None = None, **changes: Any
) -> Iterator[Program]:
    """A program for the length of a block; it is killed at the block's end if it still runs."""
    running = Program(said, *arguments, stdin=stdin, **changes)
    try:
        yield running
    finally:
        running.kill()
