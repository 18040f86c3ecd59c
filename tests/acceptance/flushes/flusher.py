"""A process that flushes, again and again, until it is killed at its step."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import NoReturn

import psycopg
from django.db import connection

from django_cachepatterns import hooks

from .chronicle import FAILED, KILLED, OUTAGE, Chronicle
from .ground import counter
from .plans import ANYWHERE, FLUSHER, UNHEARD_COMMIT, Plan

PAUSE = 0.003
"""The longest pause after a step, in seconds: time for others to come to the same batch."""
LIFE = 0.04
"""The longest life of a flusher that is killed anywhere, in seconds."""


class Flusher:
    """Flushes, and has its own process or a server killed when it gets to its step.

    Args:
        chronicle: to whom it tells each step.
        pipe: to who kills servers.
        plan: where that is; `None`: nowhere.
        rest: seconds between two flushes.
    """

    def __init__(
        self,
        chronicle: Chronicle,
        pipe: Connection | None = None,
        plan: Plan | None = None,
        rest: float = 0,
    ) -> None:
        self._rest = rest
        self._chronicle, self._pipe, self._plan = chronicle, pipe, plan
        self._left = plan.visit if plan is not None else 0
        self._rng = random.Random(plan.seed if plan is not None else 0)
        self._buffer = counter()
        self._flushes_since = 0

    def has_recovered(self) -> bool:
        """Whether it has flushed something, without an error, since the outage."""
        return self._flushes_since > 0

    def flush_until(self, stopped: Callable[[], bool]) -> None:
        """Flush again and again."""
        if self._plan is not None and self._plan.point == ANYWHERE:
            # A signal that nobody handles ends the process like a kill.
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_REAL, self._rng.uniform(0.001, LIFE))
        with hooks.listening(after_flush_step=self._at):
            while not stopped():
                was_away = self._plan is not None and self._left <= 0
                done = self._buffer.flush()
                for _, reason in done.errors:
                    self._chronicle.tell(FAILED, words=reason)
                self._flushes_since += was_away and bool(done.batches) and not done.errors
                idle = done.held or done.errors or not done.batches
                time.sleep(self._rng.uniform(0, PAUSE if idle else 0) + self._rest)

    def _at(self, details: hooks.Flushing) -> None:
        self._chronicle.tell(details.step, details.batch)
        if self._plan is not None and details.step == self._plan.point:
            self._left -= 1
            if self._left == 0:
                self._strike(self._plan, details)
        if details.batch:
            time.sleep(self._rng.uniform(0, PAUSE))

    def _strike(self, plan: Plan, details: hooks.Flushing) -> None:
        if plan.target == FLUSHER:
            self._chronicle.tell(KILLED, details.batch, details.step)
            os.kill(os.getpid(), signal.SIGKILL)
        self._chronicle.tell(OUTAGE, details.batch, plan.target)
        if plan.target == UNHEARD_COMMIT:
            connection.connection.commit = _commit_unheard
        else:
            self._pipe.send(plan.target)
            self._pipe.recv()


def _commit_unheard() -> NoReturn:
    """Send the COMMIT, and hang up."""
    raw = connection.connection
    raw.pgconn.send_query(b"COMMIT")
    raw.pgconn.flush()
    raw.close()
    raise psycopg.OperationalError("The connection broke while it was committing.")
