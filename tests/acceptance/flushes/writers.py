"""A process that counts, a few rows much more often than the others."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from typing import Any

from django.db import connections

from django_cachepatterns import metrics
from django_cachepatterns.exceptions import OutcomeUnknown
from tests.acceptance.history.tally import Tally

from . import sabotage
from .counts import Counts
from .ground import FAMILY, PKS, ROWS, counter, keep_quiet
from .manner import Manner

GAP = 0.004
"""Mean seconds between two increments of one writer."""
WEIGHTS = [1 / rank for rank in range(1, ROWS + 1)]
MANY = (4, 40)
"""Rows of increments of several at once, some of them the same; the larger ones fill a batch."""
PATIENCE = 60.0
"""Seconds for which operations are tried again at the end."""


def write(number: int, counts: Counts, manner: Manner, stop: Any) -> Tally:
    """Count until told to stop."""
    keep_quiet()
    if manner.missing is not None:
        sabotage.SABOTAGES[manner.missing]()
    writer = Writer(number, counts, manner)
    while not stop.is_set():
        writer.count(chosen(writer.rng))
        if writer.unknown and writer.rng.random() < 0.1:
            writer.try_again()
        time.sleep(writer.rng.expovariate(1 / GAP))
    writer.try_again_until_known()
    for outcome, count in metrics.by_family().get(FAMILY, {}).items():
        writer.tally.count(outcome, count)
    connections.close_all()
    return writer.tally


class Writer:
    """Counts, and remembers operations that nobody knows the outcome of.

    Args:
        number: which of the writers it is.
        counts: what was begun and acknowledged.
        manner: how it counts.
    """

    def __init__(self, number: int, counts: Counts, manner: Manner) -> None:
        self.rng, self.tally = random.Random(number), Tally()
        self.unknown: dict[str, Mapping[int, int]] = {}
        self._number, self._counts, self._strict = number, counts, manner.strict
        self._buffer = counter(manner.batch_rows)
        self._names = (f"writer {number}, operation {n}" for n in range(10**9))

    def count(self, amounts: Mapping[int, int]) -> None:
        """Count once, under an id of its own, of the buffer's, or none."""
        self.tally.count("calls")
        self._counts.begin(self._number, amounts)
        own = self._strict and self.rng.random() < 0.5
        self._try(amounts, next(self._names) if own else None)

    def try_again(self) -> None:
        """Try the oldest operation that nobody knows about."""
        operation, amounts = next(iter(self.unknown.items()))
        self.tally.count("tries again")
        self._try(amounts, operation)

    def try_again_until_known(self) -> None:
        """Try until nothing is unknown any more."""
        ends = time.monotonic() + PATIENCE
        while self.unknown and time.monotonic() < ends:
            self.try_again()
        if self.unknown:
            raise RuntimeError(f"{len(self.unknown)} operations could not be tried again.")

    def _try(self, amounts: Mapping[int, int], operation: str | None) -> None:
        options: dict[str, Any] = {"strict": self._strict, "operation": operation}
        try:
            if len(amounts) == 1:
                ((pk, by),) = amounts.items()
                self._buffer.increment(pk, by, **options)
            else:
                self._buffer.increment_many(amounts, **options)
        except OutcomeUnknown as error:
            if error.operation is None:
                raise
            self.tally.count("outcomes unknown")
            self.unknown[error.operation] = amounts
        else:
            self.unknown.pop(operation, None)
            self._counts.acknowledge(self._number, amounts)


def chosen(rng: random.Random) -> dict[int, int]:
    """Amounts for one row or for several, by a Zipf law."""
    size = rng.choices((1, *MANY), (75, 20, 5))[0]
    return {pk: rng.randint(1, 3) for pk in rng.choices(PKS, WEIGHTS, k=size)}
