"""The library's histograms as Prometheus wants them."""

from __future__ import annotations

from collections.abc import Mapping

from ...metrics.histogram import bounds, bucket_of_ns

EDGES = tuple(1 << power for power in range(14, 35))
"""Upper bounds in nanoseconds, from 16 µs to 17 s. Powers of two are edges of the library's own
buckets, so that what is added up here is not guessed."""
_BUCKETS = tuple((bucket_of_ns(edge), repr(edge / 1e9)) for edge in EDGES)


def buckets_and_sum(counts: Mapping[int, int]) -> tuple[list[tuple[str, float]], float]:
    """Cumulative counts by upper bound in seconds, and the sum of all times.

    The sum is that of the middles of the library's buckets: 6 % off where times are spread evenly
    within each, 12 % at worst.

    Args:
        counts: how many times are in which of the library's buckets.
    """
    cumulative: list[tuple[str, float]] = []
    left = sorted(counts.items())
    reached = at = 0
    for end, bound in _BUCKETS:
        while at < len(left) and left[at][0] < end:
            reached += left[at][1]
            at += 1
        cumulative.append((bound, reached))
    cumulative.append(("+Inf", sum(counts.values())))
    return cumulative, sum(number * sum(bounds(bucket)) / 2 for bucket, number in counts.items())
