"""Warming: rows get into the cache ahead of traffic.

Under the same protocol as a reader's: the leases are taken before the snapshot that is read,
values are stored only where the lease still stands, and nothing over a mark. So it may run while
others read and write. What differs is the size: a chunk of rows is one script that leases, one
query, and one script that fills.
"""

from __future__ import annotations

from .chosen import Unwarmable
from .reports import OnProgress, Progress, Warmed
from .running import warm

__all__ = ["OnProgress", "Progress", "Unwarmable", "Warmed", "warm"]
