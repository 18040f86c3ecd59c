"""Figures of what the cache did: in this process, and by way of the server in all of them.

`counting` counts, `timing` times; `flushing` sends both to the server every few seconds, `rollup`
keeps them small there, and `history` reads them.
"""

from __future__ import annotations

from .counting import Tally, by_family, count, snapshot, tally
from .outcomes import OUTCOMES

__all__ = ["OUTCOMES", "Tally", "by_family", "count", "snapshot", "tally"]
