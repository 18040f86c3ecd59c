"""What is counted."""

from __future__ import annotations

SERVED = ("hit", "stale_hit", "negative")
"""Keys that the cache has answered for."""
UNSERVED = ("miss", "bypass", "timed_out", "outage")
"""Keys that had to be read elsewhere. A key that is asked for is one of these, or of `SERVED`."""

OUTCOMES = (
    *SERVED,
    *UNSERVED,
    "wait",
    "load",
    "fill",
    "refused_fill",
    "install",
    "refused_install",
    "refresh",
    "not_admitted",
    "oversize",
    "corrupt",
    "outdated",
    "invalidation",
    "lost_mark",
    "unencodable",
    "error",
    "load_error",
    "finding",
    # Bytes of entries.
    "read_bytes",
    "filled_bytes",
    # Of write-behind.
    "increment",
    "save",
    "overtaken",
    "direct",
    "full",
    "unknown",
    "flushed",
    "dropped",
    "dead_letter",
    "flush_error",
    "lost_batch",
)
