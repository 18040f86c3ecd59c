"""Servers are killed when a flusher asks for it, and started again when others have felt it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from typing import Any

from .counts import Counts
from .plans import PAUSED_VALKEY, POSTGRES, VALKEY

FELT = 6
"""What is counted while a server is away, before it comes back."""
LONGEST = 5.0
"""Seconds after which it comes back anyway: writers that go to the database while the cache is away
may be waiting there for the very transaction that the flusher has open meanwhile."""


class Outages:
    """Carries out what flushers ask for, one outage after another.

    Args:
        servers: handles of the servers that may be killed, by name.
        pipes: one to each lane: it names what is to happen, and is told when that has.
        counts: what writers count.
    """

    def __init__(
        self, servers: Mapping[str, Any], pipes: Sequence[Connection], counts: Counts
    ) -> None:
        self._servers, self._pipes, self._counts = servers, pipes, counts

    def attend(self) -> None:
        """Do what is asked for now."""
        for pipe in wait(self._pipes, timeout=0.05):
            target = pipe.recv()
            with self._away(target):
                pipe.send(target)
                self._wait_until_it_is_felt()

    @contextmanager
    def _away(self, target: str) -> Iterator[None]:
        if target == PAUSED_VALKEY:
            server = self._servers[VALKEY]
            server.pause()
            yield
            server.resume()
        elif target in (VALKEY, POSTGRES):
            server = self._servers[target]
            server.kill()
            yield
            server.start()
        else:
            raise ValueError(f"There is no server {target!r}.")

    def _wait_until_it_is_felt(self) -> None:
        enough, ends = self._counts.total() + FELT, time.monotonic() + LONGEST
        while self._counts.total() < enough and time.monotonic() < ends:
            time.sleep(0.005)
