"""A process that reads live values, and knows between which bounds they must be."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import Any

from django.db import DatabaseError, InterfaceError, connections

from tests.acceptance.history.tally import Tally

from .counts import Counts
from .ground import PKS, counter
from .writers import WEIGHTS

PAUSE = 0.002


def read(number: int, counts: Counts, buffer_server_stays: bool, stop: Any) -> Tally:
    """Read until told to stop, and count the faults.

    Args:
        buffer_server_stays: whether the buffer server is never away: what waits there is not in a
            live value then.
    """
    rng, look = random.Random(f"reader {number}"), Look(counts, buffer_server_stays)
    while not stop.is_set():
        try:
            look.at(sorted({*rng.choices(PKS, WEIGHTS, k=6)}))
        except (DatabaseError, InterfaceError):
            look.tally.count("failed reads")
            connections.close_all()
        time.sleep(rng.uniform(0, PAUSE))
    connections.close_all()
    return look.tally


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
