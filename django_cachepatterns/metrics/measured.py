"""What was measured of one family, or of all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .histogram import quantile
from .outcomes import SERVED, UNSERVED

KINDS = ("hit", "miss", "load")
"""What is timed: calls that the cache answered by itself, calls that needed a load, and loads."""


@dataclass(slots=True)
class Measured:
    """One family's figures, or those of all, over some time.

    `counts` are numbers by outcome. `times` are the histograms of `KINDS`: how many times are in
    which bucket. A call (one `get()`, one page, one list) is one time, however many keys it asks
    for; so the calls of the kind "hit" are those that needed no query.
    """

    counts: dict[str, int] = field(default_factory=dict)
    times: dict[str, dict[int, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, numbers: Mapping[str, int]) -> Measured:
        """From numbers by the names that they have on the server: `hit`, or `hit:37`."""
        made = cls()
        for name, number in numbers.items():
            kind, timed, bucket = name.partition(":")
            if bucket.isdecimal():
                made.times.setdefault(kind, {})[int(bucket)] = number
            elif not timed:  # Else a newer version of this library has sent it.
                made.counts[name] = number
        return made

    @property
    def served(self) -> int:
        """Keys that the cache has answered for."""
        return sum(self.counts.get(name, 0) for name in SERVED)

    @property
    def reads(self) -> int:
        """Keys that were asked for, each of them once."""
        return self.served + sum(self.counts.get(name, 0) for name in UNSERVED)

    @property
    def hit_rate(self) -> float | None:
        """The share of keys that the cache has answered for; `None` where none were asked for."""
        reads = self.reads
        return self.served / reads if reads else None

    @property
    def saved(self) -> int:
        """Calls that needed no query, or no call of the function."""
        return sum(self.times.get("hit", {}).values())

    @property
    def invalidations(self) -> int:
        """Entries that writes have ended, or that were found to be older than a write."""
        return self.counts.get("invalidation", 0) + self.counts.get("outdated", 0)

    def quantile(self, kind: str, q: float) -> float | None:
        """The time in seconds that a share `q` of the times of a kind is below."""
        return quantile(self.times.get(kind, {}), q)

    def __add__(self, other: Measured) -> Measured:
        return total((self, other))


def total(several: Iterable[Measured]) -> Measured:
    """The sum of several."""
    made = Measured()
    counts = made.counts
    for each in several:
        for name, number in each.counts.items():
            counts[name] = counts.get(name, 0) + number
        for kind, buckets in each.times.items():
            own = made.times.setdefault(kind, {})
            for bucket, number in buckets.items():
                own[bucket] = own.get(bucket, 0) + number
    return made
