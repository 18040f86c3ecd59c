"""Sending figures: what this process has counted since the last time goes to the server.

It is one command every few seconds, from a thread of its own, however many reads there were.
Where the server does not answer, what was sent is sent again as it was, under the same number, so
that it is counted once whether it had arrived or not.
"""

from __future__ import annotations

import os
import threading
from collections import Counter, deque
from itertools import islice
from time import monotonic
from typing import NamedTuple

from .. import conf, entry
from ..stores import figures_of
from . import counting, hot

KEPT = 24 * 3600.0
"""Seconds for which the server remembers what was sent; what is older is given up."""

MOST = 4000
"""Figures in one command: the server is not held up for longer than by a page or two."""

Totals = tuple[Counter[tuple[str, str]], Counter[tuple[str, str]]]


class Batch(NamedTuple):
    """What is sent under one number, until it has arrived."""

    number: int
    figures: dict[str, int]
    hot: dict[bytes, int]
    made_at: float


class Sender:
    """Sends the figures of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._token = entry.new_token().hex().encode()
        self._number = 0
        self._sent: Totals = Counter(), Counter()
        self._batches: deque[Batch] = deque()
        self.not_rolled = 0
        """For how many minutes nothing was rolled up, as the server said last."""

    def flush(self, now: float | None = None, wait: float = -1) -> bool:
        """Send what is new.

        Args:
            now: when it was, in seconds since the epoch, instead of the server's clock.
            wait: seconds to wait for another thread that sends; negative: as long as it takes.

        Returns whether it was sent; `False` where another thread sends for too long. Raises
        `StoreUnavailable`, and `PolicyError` where the settings name no store; what could not be
        sent is sent by a later flush.
        """
        if not self._lock.acquire(timeout=wait):
            return False
        try:
            # What was not sent before, and what is new. No more: others may go on counting.
            self._send(now)
            self._take()
            self._send(now)
            return True
        finally:
            self._lock.release()

    def _send(self, now: float | None) -> None:
        while self._batches:
            batch = self._batches[0]
            if monotonic() - batch.made_at < KEPT:
                figures = figures_of(conf.config())
                self.not_rolled = figures.add(
                    self._token, batch.number, batch.figures, batch.hot, now
                )
            self._batches.popleft()

    def _take(self) -> None:
        """Put what is new into batches: one, unless it is very much."""
        totals = counting.collected()
        figures: dict[str, int] = {}
        for total, sent in zip(totals, self._sent, strict=True):
            for key, number in total.items():
                new = number - sent[key]
                if new:
                    figures[f"{key[1]}|{key[0]}"] = new
        sampled = hot.taken()
        self._sent = totals
        each = iter(figures.items())
        while (part := dict(islice(each, MOST))) or sampled:
            self._number += 1
            self._batches.append(Batch(self._number, part, sampled, monotonic()))
            sampled = {}


_sender = Sender()


def flush(now: float | None = None) -> bool:
    """Send what this process has counted and not sent yet. See `Sender.flush`."""
    return _sender.flush(now)


def sender() -> Sender:
    """That of this process."""
    return _sender


def _forget() -> None:
    """A forked child sends only what it counts itself."""
    global _sender
    _sender = Sender()


os.register_at_fork(after_in_child=_forget)
