"""What the cache has kept from the database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ..metrics import histogram
from ..metrics.measured import Measured


class Saved(NamedTuple):
    """An estimate of what the database was not asked.

    Args:
        queries: reads that needed none; a page of fifty rows is one read.
        seconds: as many times what a load took on average; `None` where nothing was loaded.
    """

    queries: int
    seconds: float | None


def saved(measured: Measured) -> Saved:
    """What one family has saved, or several together."""
    queries = measured.saved
    each = mean(measured.times.get("load", {}))
    return Saved(queries, None if each is None else queries * each)


def mean(buckets: Mapping[int, int]) -> float | None:
    """The mean of a histogram in seconds, to the width of its buckets; `None` where it is empty."""
    number = sum(buckets.values())
    if not number:
        return None
    middles = {bucket: sum(histogram.bounds(bucket)) / 2 for bucket in buckets}
    return sum(count * middles[bucket] for bucket, count in buckets.items()) / number
