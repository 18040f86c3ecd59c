"""A process that counts, a few rows much more often than the others."""

from __future__ import annotations

import random
import time
from typing import Any

from django.db import connections

from django_cachepatterns import metrics
from tests.acceptance.history.tally import Tally

from .counts import Counts
from .ground import FAMILY, PKS, ROWS, counter

GAP = 0.004
"""Mean seconds between two increments of one writer."""
WEIGHTS = [1 / rank for rank in range(1, ROWS + 1)]
MANY = (4, 40)
"""Rows of increments of several at once, some of them the same; the larger ones fill a batch."""


def write(number: int, counts: Counts, stop: Any) -> Tally:
    """Count until told to stop."""
    rng, buffer, tally = random.Random(number), counter(), Tally()
    while not stop.is_set():
        amounts = chosen(rng)
        counts.begin(number, amounts)
        if len(amounts) == 1:
            ((pk, by),) = amounts.items()
            buffer.increment(pk, by)
        else:
            buffer.increment_many(amounts)
        counts.acknowledge(number, amounts)
        tally.count("calls")
        time.sleep(rng.expovariate(1 / GAP))
    for outcome, count in metrics.by_family().get(FAMILY, {}).items():
        tally.count(outcome, count)
    connections.close_all()
    return tally


def chosen(rng: random.Random) -> dict[int, int]:
    """Amounts for one row or for several, by a Zipf law."""
    size = rng.choices((1, *MANY), (75, 20, 5))[0]
    return {pk: rng.randint(1, 3) for pk in rng.choices(PKS, WEIGHTS, k=size)}
