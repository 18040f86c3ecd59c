"""A process that reads live values, and knows between which bounds they must be."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import Any

from django.db import DatabaseError, InterfaceError, connections

from django_cachepatterns.write_behind import live
from tests.acceptance.history.tally import Tally
from tests.testapp.models import Page

from .counts import Counts
from .ground import PKS, counter, keep_quiet
from .writers import WEIGHTS

PAUSE = 0.002


def read(number: int, counts: Counts, buffer_server_stays: bool, stop: Any) -> Tally:
    """Read until told to stop, and count the faults.

    Args:
        buffer_server_stays: whether the buffer server is never away: what waits there is not in a
            live value then.
    """
    keep_quiet()
    rng, look = random.Random(f"reader {number}"), Look(counts, buffer_server_stays)
    _count_cached(look.tally)
    while not stop.is_set():
        try:
            look.at(sorted({*rng.choices(PKS, WEIGHTS, k=6)}))
        except (DatabaseError, InterfaceError):
            look.tally.count("failed reads")
            connections.close_all()
        time.sleep(rng.uniform(0, PAUSE))
    connections.close_all()
    return look.tally


def _count_cached(tally: Tally) -> None:
    """Have it counted how many values are known without a query."""
    honest = live.cached_counts

    def cached_counts(buffer: Any, members: Sequence[bytes]) -> dict[bytes, int]:
        found = honest(buffer, members)
        tally.count("reads of the cache", len(found))
        return found

    live.cached_counts = cached_counts


class Look:
    """Reads live values, and compares them with what was counted.

    Args:
        counts: what was begun and acknowledged.
        complete: whether a value has all that was counted.
    """

    def __init__(self, counts: Counts, complete: bool) -> None:
        self.tally = Tally()
        self._complete = complete
        self._counts, self._buffer = counts, counter()
        self._seen: dict[int, int] = {}

    def at(self, pks: Sequence[int]) -> None:
        """Read some rows once."""
        Page.objects.in_bulk(pks)  # So that there are rows in the cache.
        least = {pk: self._counts.acknowledged(pk) for pk in pks}
        values = self._buffer.values(pks)
        most = {pk: self._counts.begun(pk) for pk in pks}
        self.tally.count("reads", len(pks))
        for pk in pks:
            seen = values.get(pk, -1)
            words = f"row {pk} was {seen}, {self._seen.get(pk, 0)} before; {least[pk]}..{most[pk]}"
            if self._complete and seen < self._seen.get(pk, 0):
                self.tally.fault("backwards", words)
            if self._complete and seen < least[pk]:
                self.tally.fault("too little", words)
            if seen > most[pk]:
                self.tally.fault("too much", words)
            self._seen[pk] = seen
