"""Refreshes in the background: stale values are served while one thread loads them anew.

The threads are few and the queue is bounded: what does not fit is served stale for longer, and
tried again by a later reader. Each refresh has database connections of its own, which are closed
after use, so that idle threads hold none.
"""

from __future__ import annotations

import contextvars
import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from django.db import connections

logger = logging.getLogger("django_cachepatterns")

THREADS = 2
LONGEST_QUEUE = 100


class Refresher:
    """A bounded queue of refreshes.

    Args:
        threads: how many run at once.
        longest: how many may wait or run; more are turned away.
    """

    def __init__(self, threads: int = THREADS, longest: int = LONGEST_QUEUE) -> None:
        self._threads, self._longest = threads, longest
        self._lock = threading.Lock()
        self._keys: set[bytes] = set()
        self._executor: ThreadPoolExecutor | None = None
        self._idle = threading.Condition(self._lock)

    def submit(self, key: bytes, refresh: Callable[[], object]) -> bool:
        """Refresh a key soon, unless it is about to be. Returns whether there was room."""
        if key in self._keys:
            return True
        with self._lock:
            if key in self._keys:
                return True
            if len(self._keys) >= self._longest:
                return False
            self._keys.add(key)
            if self._executor is None:
                self._executor = ThreadPoolExecutor(self._threads, "cachepatterns-refresh")
            executor = self._executor
        try:
            executor.submit(contextvars.copy_context().run, self._run, key, refresh)
        except RuntimeError:  # The interpreter is about to end.
            self._finished(key)
            return False
        return True

    def wait_until_idle(self, seconds: float) -> bool:
        """Wait for what was submitted. Returns whether all of it is done."""
        with self._idle:
            return self._idle.wait_for(lambda: not self._keys, seconds)

    def forget(self) -> None:
        """A forked child has none of its parent's threads."""
        self.__init__(self._threads, self._longest)  # type: ignore[misc]

    def _run(self, key: bytes, refresh: Callable[[], object]) -> None:
        try:
            refresh()
        except Exception:
            # The loader is the user's: whatever it raises, the old value is served on.
            logger.exception("Could not refresh %s; it stays stale.", key.decode())
        finally:
            self._finished(key)
            connections.close_all()

    def _finished(self, key: bytes) -> None:
        with self._idle:
            self._keys.discard(key)
            self._idle.notify_all()


REFRESHER = Refresher()
os.register_at_fork(after_in_child=REFRESHER.forget)
