"""How old an entry is, from what is left of its lifetime: entries carry no date of their own."""

from __future__ import annotations

from .. import entry
from ..policy import CachePolicy
from ..stores.inspector import Looked

TAG_TTL = 24 * 3600.0
"""Seconds that a tag lives, see `stores.redis`."""
EXACT = 0.01
"""Seconds: two bounds of an age that are as near as this are one."""


def since(looked: Looked, ttl: float | None) -> float | None:
    """Seconds since a key was made that lives for `ttl` seconds; `None`: not known."""
    if ttl is None or looked.ttl is None:
        return None
    return max(0.0, ttl - looked.ttl / 1000)


def of_value(
    looked: Looked, header: entry.Header, policy: CachePolicy | None
) -> tuple[float, float] | None:
    """The least and most seconds since a value was stored; `None` where nobody can say.

    The jitter of its policy was taken off its ttl, so what is left of that leaves room for as much;
    a soft expiry has no jitter.
    """
    if policy is None or looked.ttl is None:
        return None
    left = looked.ttl / 1000
    if header.state == entry.NEGATIVE:
        age = max(0.0, (policy.negative_ttl or 0.0) - left)
        return age, age
    if header.soft_expiry and policy.soft_ttl:
        until_stale = (header.soft_expiry - looked.now) / 1000
        # Else it was cut to the lifetime, which has jitter.
        if until_stale < left - 0.05:
            age = max(0.0, policy.soft_ttl - until_stale)
            return age, age
    return max(0.0, policy.ttl * (1 - policy.jitter) - left), max(0.0, policy.ttl - left)
