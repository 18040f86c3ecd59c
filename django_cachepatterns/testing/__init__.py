"""Helpers for the tests of projects that use the library, and of stores made for it.

`contract` tests a third party's store. It needs pytest; nothing else here does.
"""

from __future__ import annotations

from .counting import assert_cache_hits, assert_store_commands
from .faults import latency, outage

__all__ = ["assert_cache_hits", "assert_store_commands", "latency", "outage"]
