"""How much the entries of each policy take, by a sample of the server's keys.

A sample takes a SCAN over part of the keys. So the page does not wait for it: it is asked for
afterwards, and one is kept for some seconds, for everybody whom this process serves.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from ... import conf, inspection
from ...inspection import Sample
from ..glance import Glance

KEPT = 30.0
"""Seconds for which a sample is shown."""
SAMPLED = 2000
"""Keys that are looked at."""

_lock = threading.Lock()
_kept: dict[str, tuple[float, Sample]] = {}
"""The last sample, by what its keys begin with, and when it was taken."""


def of_all(glance: Glance) -> dict[str, Any] | None:
    """Every family's entries and bytes, the largest first; `None` where the server is down."""
    taken = glance.ask(sample, None)
    if taken is None:
        return None
    age, found = taken
    total = sum(each.bytes or 0 for each in found)
    return {
        "rows": [(each, (each.bytes or 0) / total if total else 0.0) for each in found],
        "entries": sum(each.entries for each in found),
        "bytes": total,
        **_how(age, found),
    }


def of_policy(glance: Glance) -> dict[str, Any] | None:
    """The same of the policy that is looked at."""
    taken = glance.ask(sample, None)
    if taken is None:
        return None
    age, found = taken
    mine = next((each for each in found if each.family == glance.family), None)
    return {"mine": mine, **_how(age, found)}


def _how(age: float, found: Sample) -> dict[str, Any]:
    return {"age": age, "taken": str(found), "exact": found.is_complete}


def sample() -> tuple[float, Sample]:
    """A sample that is at most `KEPT` seconds old, and its age in seconds.

    Raises `StoreUnavailable`.
    """
    prefix = conf.config().values["KEY_PREFIX"]
    with _lock:
        kept = _kept.get(prefix)
        if kept is None or time.monotonic() - kept[0] > KEPT:
            kept = _kept[prefix] = (time.monotonic(), inspection.sample(limit=SAMPLED))
    return time.monotonic() - kept[0], kept[1]
