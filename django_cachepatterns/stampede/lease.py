"""The mutex lease: one loads, the others wait for its fill, for a bounded time.

The lease is held in the entry itself, as a random token, so that there is no second key to keep
in step: storing the value gives the lease up, and so does any write to the row. The idea is that
of memcache leases (Nishtala et al., "Scaling Memcache at Facebook", NSDI 2013).
"""

from __future__ import annotations

from .. import entry

LONGEST_WAIT = 0.05
"""Seconds until a waiter looks again, though nobody has woken it: the loader may have died, or a
writer may have taken its lease away."""


def is_lease(data: bytes | None) -> bool:
    """Whether an entry is a well-formed lease."""
    return data is not None and data[:1] == entry.LEASE and len(data) == 1 + entry.TOKEN_SIZE
