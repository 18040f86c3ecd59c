"""A Valkey that comes back with an old copy of its data, of which the database has more."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from django_cachepatterns import hooks
from example_project.servers import Valkey

ACTIVE, SEALED, APPLIED = "active", "sealed", "applied"
"""What had become of the oldest batch when the copy was made. In each case another was active."""


class Restored:
    """Counts, has the server put back, and counts again; and knows what the sums must be.

    Args:
        server: a durable one.
        buffer: a counter of rows 1 to 3, whose batches have three rows.
        copy: a folder that is not there yet.
    """

    def __init__(self, server: Valkey, buffer: Any, copy: Path) -> None:
        self._server, self._buffer, self._copy = server, buffer, copy
        self.counted: Counter[int] = Counter()

    def live(self) -> dict[int, int]:
        """The live values."""
        found: dict[int, int] = self._buffer.values([1, 2, 3])
        return found

    def put_back(self, state: str) -> None:
        """Copy the data, have all that waits applied, and put the copy back."""
        self._count({1: 1, 2: 10})
        if state != ACTIVE:
            self._count({3: 100})  # That makes three.
            self._count({1: 1_000})
        if state == APPLIED:
            self._flush_and_fail()
        self._server.copy_data(self._copy)
        self._count({1: 10_000})
        self._flush()
        self._count({2: 100_000, 3: 100_000})
        self._flush()
        self._server.kill()
        self._server.put_back(self._copy)
        self._server.start()

    def count_and_flush(self) -> None:
        """Count again, into what the copy has made of the batches."""
        self._count({1: 1_000_000})
        self._count({2: 2_000_000})
        self._flush()
        self._count({1: 4_000_000, 2: 4_000_000, 3: 4_000_000})
        self._flush()

    def _count(self, amounts: dict[int, int]) -> None:
        self._buffer.increment_many(amounts)
        self.counted.update(amounts)

    def _flush(self) -> None:
        done = self._buffer.flush()
        assert not done.errors + done.held, done

    def _flush_and_fail(self) -> None:
        def fail(details: hooks.Flushing) -> None:
            if details.step == "committed":
                raise InterruptedError

        try:
            with hooks.listening(after_flush_step=fail):
                self._buffer.flush()
        except InterruptedError:
            return
        raise AssertionError("It has come through.")
