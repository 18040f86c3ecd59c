"""One target on its way: which chunk is next, which are done, and where to go on after a stop."""

from __future__ import annotations

import threading
from time import monotonic

from .chunks import MOST, Chunk, Walk
from .pace import Pace
from .position import Place, Position
from .reports import OnProgress, Progress, Tally

SAVE_EVERY = 1.0
"""Seconds between writes of the position."""
FIRST, LEAST = 100, 10
"""Rows of the first chunk, before anybody knows how large they are; and of one of huge ones."""
CHUNK_BYTES = 4 << 20
"""What the entries of a chunk may hold, about: each thread has one in memory."""


class Course:
    """Gives chunks to threads, and is told when they are done.

    Args:
        label: of the model.
        walk: gives the chunks.
        pace: how fast.
        limit: the most rows, those of an interrupted run included; `None`: all.
        place: where an interrupted run has stopped.
        position: where to keep the place; `None` where the walk cannot go on from one.
        expected: about how many rows there are.
        on_progress: told after each chunk.
    """

    def __init__(
        self,
        label: str,
        walk: Walk,
        pace: Pace,
        *,
        limit: int | None = None,
        place: Place | None = None,
        position: Position | None = None,
        expected: int | None = None,
        on_progress: OnProgress | None = None,
    ) -> None:
        self._label, self._walk, self._pace = label, walk, pace
        self._left, self._expected, self._on_progress = limit, expected, on_progress
        self._position, self._place = position, place
        self._before = place.done if place is not None else 0
        if self._left is not None:
            self._left = max(0, self._left - self._before)
        self._lock = threading.Lock()
        self._done: dict[int, Chunk] = {}
        self._next = self._first = 0
        self._saved_at = monotonic()
        self.tally = Tally()
        self.is_over = False
        """Whether there are no more chunks to be taken."""

    def take(self) -> tuple[int, Chunk] | None:
        """The next chunk and its number, when its turn has come; `None` when there are no more."""
        with self._lock:
            size = self._pace.most(self._size())
            if self._left is not None:
                size = min(size, self._left)
            chunk = self._walk.take(size) if size else None
            if chunk is None:
                self.is_over = True
                return None
            rows = len(chunk.found)
            if self._left is not None:
                self._left -= rows
            number, self._next = self._next, self._next + 1
            self._pace.wait(rows)
            return number, chunk

    def _size(self) -> int:
        """Rows of the next chunk: fewer where they are large."""
        if not self._next:
            return FIRST
        mean = self.tally.bytes // max(self.tally.filled, 1)
        return max(LEAST, min(MOST, CHUNK_BYTES // max(mean, 1)))

    def finish(self, number: int, chunk: Chunk, tally: Tally) -> None:
        """A chunk is done. Raises `StoreUnavailable` where the position cannot be kept."""
        with self._lock:
            self.tally += tally
            self._done[number] = chunk
            while (first := self._done.pop(self._first, None)) is not None:
                self._first += 1
                done = len(first.found) + (self._place.done if self._place else 0)
                self._place = Place(first.last, done)
            if monotonic() - self._saved_at >= SAVE_EVERY:
                self.save()
            if self._on_progress is not None:
                done = self._before + self.tally.looked_at
                self._on_progress(Progress(self._label, done, self._expected))

    def save(self) -> None:
        """Keep the place up to which every chunk is done. Raises `StoreUnavailable`."""
        self._saved_at = monotonic()
        if self._position is not None and self._place is not None:
            self._position.save(self._place)

    def forget(self) -> None:
        """There is no place to go on from any more. Raises `StoreUnavailable`."""
        if self._position is not None:
            self._position.forget()
