"""Times as histograms: four buckets to each doubling, so that a quantile errs by 12 % at most.

What it is modelled on is HdrHistogram's way to name a bucket by the leading bits of a number.
"""

from __future__ import annotations

from collections.abc import Mapping

SMALLEST = 1024
"""Nanoseconds; all that is shorter is in bucket 0."""
BUCKETS = 144
"""The last one is of all that is longer than some hours."""


def bucket_of_ns(spent: int) -> int:
    """The bucket of a time in nanoseconds."""
    if spent < SMALLEST:
        return 0
    bits = spent.bit_length()
    return min((bits << 2) + (spent >> (bits - 3) & 3) - 43, BUCKETS - 1)


def bucket_of(seconds: float) -> int:
    """The bucket of a time in seconds."""
    return bucket_of_ns(int(seconds * 1e9))


def bounds(bucket: int) -> tuple[float, float]:
    """The shortest time of a bucket, and the one where the next begins, in seconds."""
    if bucket <= 0:
        return 0.0, SMALLEST / 1e9
    octave, quarter = divmod(bucket + 43, 4)
    width = 1 << (octave - 3)
    return (4 + quarter) * width / 1e9, (5 + quarter) * width / 1e9


def quantile(buckets: Mapping[int, int], q: float) -> float | None:
    """The time in seconds that a share of all times is below; `None` where there are none.

    Args:
        buckets: how many times are in each bucket.
        q: the share, from 0 to 1; 0.5 is the median.
    """
    total = sum(buckets.values())
    if total <= 0:
        return None
    left = min(max(q, 0.0), 1.0) * total
    low = high = 0.0
    for bucket in sorted(buckets):
        number = buckets[bucket]
        if number <= 0:
            continue
        low, high = bounds(bucket)
        if number >= left:
            return low + (high - low) * left / number
        left -= number
    return high
