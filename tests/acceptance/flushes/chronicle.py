"""What flushers have done, in the order in which they did it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

KILLED, FAILED, OUTAGE = "killed", "failed", "outage"
"""What is told beside the steps of a flush: with where it was, why, and of which server."""
NO_BATCH = "-"


class Event(NamedTuple):
    """One thing that one flusher did.

    Args:
        pid: its process.
        what: a step of a flush, `KILLED`, `FAILED` or `OUTAGE`.
        batch: the id of a batch, or `NO_BATCH`.
        words: where it was killed, why it has failed, or which server was away.
    """

    pid: int
    what: str
    batch: str
    words: str = ""


class Chronicle:
    """A file to which every flusher appends.

    Each line is one `write` of its own, so a process that is killed has told all that it did.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        path.touch()
        self._descriptor = -1

    def open(self) -> None:
        """Have it written by this process and those that it forks."""
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND)

    def tell(self, what: str, batch: str = "", words: str = "") -> None:
        """Append one event."""
        line = f"{os.getpid()} {what} {batch or NO_BATCH} {' '.join(words.split())}\n"
        os.write(self._descriptor, line.encode())

    def events(self) -> Iterator[Event]:
        """All that was told, oldest first."""
        for line in self._path.read_text().splitlines():
            pid, what, batch, words = line.split(" ", 3)
            yield Event(int(pid), what, batch, words)
