"""Stops the servers of a process that died without doing so, and removes their folder.

Started as a process of its own, with the read end of a pipe as its standard input. The pipe ends
when the process at the other end does, whatever ended it: no signal handlers are needed there, and
SIGKILL is covered too.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

PROGRAMS = {"initdb", "pg_ctl", "postgres", "valkey-server"}
PATIENCE = 5.0  # seconds before a server that does not stop is killed


def start_reaper(folder: Path, *, remove: bool) -> subprocess.Popen[bytes]:
    """Watch over the servers with files under ``folder``; closing ``stdin`` calls the reaper."""
    command = [sys.executable, __file__, str(folder), "remove" if remove else "keep"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)


def leftovers(folder: str) -> list[psutil.Process]:
    """The server processes whose command line names something in a folder."""
    return [
        process
        for process in psutil.process_iter(["name", "cmdline"])
        if process.info["name"] in PROGRAMS
        and any(f"{folder}/" in argument for argument in process.info["cmdline"] or ())
    ]


def reap(folder: str) -> None:
    """Stop those processes: in an orderly way if they can be, and in any case."""
    _signal(leftovers(folder), signal.SIGCONT, signal.SIGINT, signal.SIGTERM)
    deadline = time.monotonic() + PATIENCE
    while processes := leftovers(folder):
        if time.monotonic() > deadline:
            _signal(processes, signal.SIGKILL)
        time.sleep(0.05)


def _signal(processes: list[psutil.Process], *numbers: signal.Signals) -> None:
    for process in processes:
        for number in numbers:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)


if __name__ == "__main__":
    watched, what_then = sys.argv[1:]
    sys.stdin.buffer.read()
    reap(watched)
    if what_then == "remove":
        shutil.rmtree(watched, ignore_errors=True)
