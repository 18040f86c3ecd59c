"""A loop that flushes each buffer by its own `flush_every`, for people without Celery."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.db import close_old_connections

from .flushing import flush_buffers
from .patience import flush_in_turn
from .reports import Flushed
from .troubles import Troubles

if TYPE_CHECKING:
    from .buffer import Buffer

FIRST_WAIT, LONGEST_WAIT = 1.0, 30.0
"""Seconds until a buffer that could not be flushed is tried again; twice as long each time."""
GLANCE = 0.1
"""Seconds between looks at whether the loop is to end."""
TURN = 2.0
"""Seconds to wait for another flusher in the drain at the end, for each buffer."""


class Loop:
    """Flushes buffers until it is stopped.

    Args:
        buffers: those that it flushes.
        every: seconds between flushes of each; `None`: as the buffers say.
        troubles: who is told what cannot be flushed.
    """

    def __init__(
        self, buffers: Sequence[Buffer[Any]], every: float | None, troubles: Troubles
    ) -> None:
        self._buffers, self._every, self._troubles = buffers, every, troubles
        self._failures = dict.fromkeys([buffer.name for buffer in buffers], 0)
        self._stopped = False

    def stop(self) -> None:
        """Have it end soon. May be called by a signal handler."""
        # A flag, not an event: the handler may have interrupted who holds an event's lock.
        self._stopped = True

    def run(self) -> None:
        """Flush until it is stopped."""
        turns = dict.fromkeys(self._failures, time.monotonic())
        while not self._stopped:
            # What the server has closed meanwhile, or is older than CONN_MAX_AGE.
            close_old_connections()
            for buffer in self._buffers:
                if not self._stopped and turns[buffer.name] <= time.monotonic():
                    done = self._troubles.hear(buffer.name, flush_buffers([buffer]))
                    turns[buffer.name] = time.monotonic() + self._pause(buffer, done)
            self._wait_until(min(turns.values()))

    def drain(self) -> Flushed:
        """Flush everything once."""
        close_old_connections()
        done = Flushed()
        for buffer in self._buffers:
            done += flush_in_turn(buffer, TURN)
        return done

    def _pause(self, buffer: Buffer[Any], done: Flushed) -> float:
        """Seconds until a buffer's next turn."""
        failures = self._failures[buffer.name]
        if done.errors:
            failures += 1
        elif not done.held:
            failures = 0
        self._failures[buffer.name] = failures
        if failures:
            return float(min(FIRST_WAIT * 2 ** min(failures - 1, 20), LONGEST_WAIT))
        return buffer.flush_every if self._every is None else self._every

    def _wait_until(self, moment: float) -> None:
        while not self._stopped and (left := moment - time.monotonic()) > 0:
            time.sleep(min(left, GLANCE))
