"""The mutex lease: one loads, the others wait for its fill, for a bounded time.

The lease is held in the entry itself, as a random token, so that there is no second key to keep
in step: storing the value gives the lease up, and so does any write to the row. The idea is that
of memcache leases (Nishtala et al., "Scaling Memcache at Facebook", NSDI 2013).
"""

from __future__ import annotations

from collections.abc import Sequence

from .. import entry
from ..clock import SYSTEM_CLOCK, Clock
from ..stores.base import Store

FIRST_PAUSE = 0.0005
LONGEST_PAUSE = 0.05


def is_lease(data: bytes | None) -> bool:
    """Whether an entry is a well-formed lease."""
    return data is not None and data[:1] == entry.LEASE and len(data) == 1 + entry.TOKEN_SIZE


def wait(
    store: Store, keys: Sequence[bytes], patience: float, clock: Clock = SYSTEM_CLOCK
) -> list[bytes | None]:
    """The entries of leased keys as soon as none is leased, or after `patience` seconds.

    Polls with a backoff; each poll is one round trip for all keys.
    """
    deadline = clock.monotonic() + patience
    pause = FIRST_PAUSE
    found: dict[bytes, bytes | None] = {}
    waiting = list(keys)
    while True:
        clock.sleep(pause)
        now = store.get_many(waiting)
        found.update(zip(waiting, now, strict=True))
        waiting = [key for key, data in zip(waiting, now, strict=True) if is_lease(data)]
        left = deadline - clock.monotonic()
        if not waiting or left <= 0:
            return [found[key] for key in keys]
        # A short load is met soon, a long one is not polled to death.
        pause = min(pause * 1.5, LONGEST_PAUSE, left)
