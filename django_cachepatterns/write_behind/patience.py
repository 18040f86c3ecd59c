"""A flush that waits its turn: where another flusher is at a buffer, what it leaves is flushed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from .flushing import CLAIM_TTL, flush_buffers
from .reports import Flushed

if TYPE_CHECKING:
    from .buffer import Buffer

PATIENCE = CLAIM_TTL / 1000 + 5
"""Seconds to wait for another flusher: longer than the claim of one that has died stands."""
PAUSE = 0.05


def flush_in_turn(buffer: Buffer[Any], seconds: float = PATIENCE) -> Flushed:
    """Flush a buffer, of all tenants, even in the pause after a failed flush.

    Args:
        seconds: how long to wait for another flusher. `held` in the result says that it was still
            at it then.
    """
    until = time.monotonic() + seconds
    done = flush_buffers([buffer], in_pause=True)
    while done.held and not done.errors and time.monotonic() < until:
        time.sleep(PAUSE)
        done.held = ()
        done += flush_buffers([buffer], in_pause=True)
    return done
