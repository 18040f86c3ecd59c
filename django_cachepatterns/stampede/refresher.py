"""Refreshes in the background: stale values are served while one thread loads them anew.

The threads are few and the queue is bounded: what does not fit is served stale for longer, and
tried again by a later reader. Each refresh has database connections of its own, which are closed
after use, so that idle threads hold none.
"""

from __future__ import annotations

import atexit
import contextvars
import logging
import os
import threading
from collections import deque
from collections.abc import Callable

from django.db import connections

from ..log_events import event, shown

logger = logging.getLogger("django_cachepatterns")

THREADS = 2
LONGEST_QUEUE = 100
IDLE = 60.0
"""Seconds after which a thread that has nothing to do ends."""
PATIENCE = 1.0
"""Seconds that the interpreter waits at its end for the refreshes that run."""


class Refresher:
    """A bounded queue of refreshes.

    Args:
        threads: how many run at once.
        longest: how many may wait or run; more are turned away.
    """

    def __init__(self, threads: int = THREADS, longest: int = LONGEST_QUEUE) -> None:
        self._threads, self._longest = threads, longest
        self._changed = threading.Condition()
        self._keys: set[bytes] = set()
        self._waiting: deque[tuple[bytes, Callable[[], object]]] = deque()
        self._running = self._idle = 0
        self._ended = False

    def submit(self, key: bytes, refresh: Callable[[], object]) -> bool:
        """Refresh a key soon, unless it is about to be. Returns whether there was room."""
        if key in self._keys:
            return True
        with self._changed:
            if key in self._keys:
                return True
            if self._ended or len(self._keys) >= self._longest:
                return False
            self._keys.add(key)
            context = contextvars.copy_context()
            self._waiting.append((key, lambda: context.run(refresh)))
            if len(self._waiting) > self._idle and self._running < self._threads:
                self._start()
            self._changed.notify_all()
        return True

    def wait_until_idle(self, seconds: float) -> bool:
        """Wait for what was submitted. Returns whether all of it is done."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._keys, seconds)

    def end(self) -> None:
        """Take no more, drop what waits, and give what runs a moment: the interpreter ends.

        What is stale stays so, for other processes to refresh.
        """
        with self._changed:
            self._ended = True
            for key, _ in self._waiting:
                self._keys.discard(key)
            self._waiting.clear()
            self._changed.notify_all()
        self.wait_until_idle(PATIENCE)

    def forget(self) -> None:
        """A forked child has none of its parent's threads."""
        self.__init__(self._threads, self._longest)  # type: ignore[misc]

    def _start(self) -> None:
        # A daemon: a refresh that hangs must not keep the process from ending.
        name = f"cachepatterns-refresh-{self._running + 1}"
        thread = threading.Thread(target=self._work, name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError:  # No more threads, or the interpreter ends: it waits for another.
            return
        self._running += 1

    def _work(self) -> None:
        while True:
            taken = self._next()
            if taken is None:
                return
            key, refresh = taken
            try:
                _run(key, refresh)
            finally:
                with self._changed:
                    self._keys.discard(key)
                    self._changed.notify_all()

    def _next(self) -> tuple[bytes, Callable[[], object]] | None:
        """What is to be refreshed now; `None` after a while in which there was nothing."""
        with self._changed:
            self._idle += 1
            self._changed.wait_for(lambda: self._waiting or self._ended, IDLE)
            self._idle -= 1
            if self._waiting:
                return self._waiting.popleft()
            self._running -= 1
            return None


def _run(key: bytes, refresh: Callable[[], object]) -> None:
    """Refresh, and close what connections that has opened; the thread lives on whatever happens."""
    for step in (refresh, connections.close_all):
        try:
            step()
        except Exception:
            # The loader is the user's: whatever it raises, the old value is served on.
            name = shown(key)
            extra = event("refresh_failed", family=None, key=name)
            logger.exception("Could not refresh %s; it stays stale.", name, extra=extra)
        except BaseException:  # noqa: BLE001 - it would end this thread, and says no more
            pass


REFRESHER = Refresher()
os.register_at_fork(after_in_child=REFRESHER.forget)
atexit.register(REFRESHER.end)
