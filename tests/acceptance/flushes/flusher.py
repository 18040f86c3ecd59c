"""A process that flushes, again and again, until it is killed at its step."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable

from django_cachepatterns import hooks

from .chronicle import FAILED, KILLED, Chronicle
from .ground import counter
from .plans import ANYWHERE, Plan

PAUSE = 0.003
"""The longest pause after a step, in seconds: time for others to come to the same batch."""
LIFE = 0.04
"""The longest life of a flusher that is killed anywhere, in seconds."""


class Flusher:
    """Flushes, and kills its own process when it gets to its step.

    Args:
        chronicle: to whom it tells each step.
        plan: where it is killed; `None`: nowhere.
    """

    def __init__(self, chronicle: Chronicle, plan: Plan | None = None) -> None:
        self._chronicle, self._plan = chronicle, plan
        self._left = plan.visit if plan is not None else 0
        self._rng = random.Random(plan.seed if plan is not None else 0)
        self._buffer = counter()

    def flush_until(self, stopped: Callable[[], bool]) -> None:
        """Flush again and again."""
        if self._plan is not None and self._plan.point == ANYWHERE:
            # A signal that nobody handles ends the process like a kill.
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_REAL, self._rng.uniform(0.001, LIFE))
        with hooks.listening(after_flush_step=self._at):
            while not stopped():
                done = self._buffer.flush()
                for _, reason in done.errors:
                    self._chronicle.tell(FAILED, words=reason)
                if done.held or not done.batches:
                    time.sleep(self._rng.uniform(0, PAUSE))

    def _at(self, details: hooks.Flushing) -> None:
        self._chronicle.tell(details.step, details.batch)
        if self._plan is not None and details.step == self._plan.point:
            self._left -= 1
            if self._left == 0:
                self._chronicle.tell(KILLED, details.batch, details.step)
                os.kill(os.getpid(), signal.SIGKILL)
        if details.batch:
            time.sleep(self._rng.uniform(0, PAUSE))
