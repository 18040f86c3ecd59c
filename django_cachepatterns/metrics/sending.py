"""When figures are sent: every few seconds by a thread, and at the clean end of the process.

The thread is started by whoever counts first, in each process. Where threads do not run (uWSGI
without `enable-threads`) the end of a request sends what is overdue.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from random import random
from time import monotonic
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.signals import request_finished

from .. import at_exit, conf
from ..exceptions import CachePatternsError
from ..log_events import event
from ..stores import figures_of
from . import counting, flushing
from .rollup import roll_up

logger = logging.getLogger("django_cachepatterns")

LAST = 100
"""The place of sending among what is done at the end: whatever comes before may count."""
OVERDUE = 3.0
"""Times that the setting METRICS_FLUSH_EVERY has passed when a request takes it on itself."""

IDLE = 5.0
"""Seconds between two looks at the settings, where these say that nothing is sent."""
ROLL_OVERDUE = 3
"""Minutes after which a process rolls up figures where no task does."""


class Ticker:
    """Sends figures every few seconds, as long as the process lives."""

    def __init__(self) -> None:
        self._starting = threading.Lock()  # Acquired once.
        self._thread: threading.Thread | None = None
        self._sent_at = monotonic()
        self._is_away = False
        self._ended = threading.Event()

    def start(self) -> None:
        """Have figures sent from now on, where the settings say so."""
        if self._thread is not None or not _every() or not self._starting.acquire(blocking=False):
            return
        thread = threading.Thread(target=self._work, name="cachepatterns-metrics", daemon=True)
        self._sent_at, self._thread = monotonic(), thread
        at_exit.register(self.end, LAST)
        # There may be no more threads, or the interpreter ends: then that sends them, or a request.
        with contextlib.suppress(RuntimeError):
            thread.start()

    def is_sending(self) -> bool:
        """Whether the current thread is the one that sends."""
        return threading.current_thread() is self._thread

    def send_overdue(self) -> None:
        """Send what the thread should have sent long ago."""
        self.start()
        every = _every()
        if every and monotonic() > self._sent_at + OVERDUE * every:
            self.send(wait=0)

    def end(self) -> None:
        """Send what is left: the process ends."""
        self._ended.set()
        if _every():
            self.send(wait=1, level=logging.DEBUG)

    def send(self, wait: float = -1, level: int = logging.WARNING) -> None:
        """Send what is new. Never raises: figures are not worth anybody's error.

        Args:
            wait: seconds to wait for another thread that sends; negative: as long as it takes.
            level: at which a first failure is logged.
        """
        self._sent_at = monotonic()
        try:
            flushing.sender().flush(wait=wait)
        except (CachePatternsError, ImproperlyConfigured) as error:
            if not self._is_away:
                self._is_away = True
                extra = event("metrics_undelivered", error=str(error))
                logger.log(level, "Figures could not be sent, and are kept: %s", error, extra=extra)
        else:
            self._is_away = False

    def forget(self) -> None:
        """A forked child has none of its parent's threads."""
        self.__init__()  # type: ignore[misc]

    def _work(self) -> None:
        share = random()  # Processes that were started together need not send together.
        while not self._ended.wait((_every() or IDLE) * share):
            share = 1.0
            if _every():
                self.send()
                self._roll_up_overdue()

    def _roll_up_overdue(self) -> None:
        """Roll up what a task should have rolled up long ago: there may be none."""
        sender = flushing.sender()
        if sender.not_rolled <= ROLL_OVERDUE:
            return
        sender.not_rolled = 0
        try:
            if figures_of(conf.config()).claim_roll(ROLL_OVERDUE * 60):
                roll_up()
        except (CachePatternsError, ImproperlyConfigured) as error:
            extra = event("metrics_not_rolled", error=str(error))
            logger.debug("Figures could not be rolled up, and are later: %s", error, extra=extra)


TICKER = Ticker()


def install() -> None:
    """Send figures from when the first is counted; called when the app is ready."""
    if TICKER.start not in counting.when_first_counted:
        counting.when_first_counted.append(TICKER.start)
    request_finished.connect(_after_request, dispatch_uid="django_cachepatterns.metrics")


def _after_request(**kwargs: Any) -> None:
    TICKER.send_overdue()


def _every() -> float:
    """Seconds between two flushes; 0 where there are to be none."""
    try:
        config = conf.config()
        return float(config.values["METRICS_FLUSH_EVERY"]) if config.measures else 0.0
    except (ImproperlyConfigured, AttributeError, TypeError, ValueError):
        return 0.0  # A system check says so; or the settings are gone already.


os.register_at_fork(after_in_child=TICKER.forget)
