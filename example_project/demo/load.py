"""What the processes of a round do, and to which products."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Load:
    """The work of one round. Both rounds are given the same."""

    seconds: float
    products: int
    readers: int
    writers: int
    writes_per_second: float
    """Of all writers together. Writers keep to it, so that both rounds see as many writes."""
    check_share: float
    """The share of reads that are compared with the database."""
    cold: bool = False
    """Begin with an empty cache, rather than after every product has been read once."""
    seed: int = 1

    def picks(self, choices: Sequence[int], process: str) -> Iterator[int]:
        """Endless choices, the few popular ones often: the n-th has a weight of 1/n (Zipf).

        The order is the same for each run and different for each process.
        """
        rng = random.Random(f"{self.seed}/{process}")
        weights = list(itertools.accumulate(1 / n for n in range(1, len(choices) + 1)))
        while True:
            yield from rng.choices(choices, cum_weights=weights, k=1000)
