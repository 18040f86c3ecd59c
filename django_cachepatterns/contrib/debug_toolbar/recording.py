"""The reads of one request, and what they come to."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from time import perf_counter
from typing import Any

from debug_toolbar.utils import get_stack_trace, render_stacktrace

from ... import hooks
from ...metrics.outcomes import SERVED
from ...monitoring.instead import instead

LIBRARY = str(Path(__file__).parent.parent.parent)
_COLUMNS = re.compile(r"SELECT (DISTINCT )?.*? FROM ", re.DOTALL)


class Recording:
    """The reads of one request: plain data, so that the toolbar can store it."""

    def __init__(self) -> None:
        self.reads: list[dict[str, Any]] = []
        self._spans: list[tuple[float, float]] = []

    def add(self, read: hooks.Read) -> None:
        """Take note of a read, in the thread that has made it."""
        ended = perf_counter()
        served = sum(outcome in SERVED for outcome in read.outcomes)
        statement = instead(read.source, read.keys)
        self.reads.append(
            {
                "family": read.family,
                "keys": [key.decode("utf-8", "replace") for key in read.keys],
                "outcomes": dict(Counter(read.outcomes)),
                "served": served,
                # Nobody has timed what was left to Django.
                "milliseconds": read.seconds * 1000 if read.seconds else None,
                "saved": served == len(read.keys),
                "statement": statement,
                "short": _COLUMNS.sub(r"SELECT \1... FROM ", statement, count=1),
                "trace": str(render_stacktrace(_own_frames(get_stack_trace(skip=2)))),
            }
        )
        self._spans.append((ended - read.seconds, ended))

    def totals(self) -> dict[str, Any]:
        """What the reads come to."""
        keys = sum(len(each["keys"]) for each in self.reads)
        served = sum(each["served"] for each in self.reads)
        return {
            "calls": len(self.reads),
            "keys": keys,
            "served": served,
            "hit_rate": 100 * served / keys if keys else None,
            "saved": sum(each["saved"] for each in self.reads),
            "milliseconds": _length(self._spans) * 1000,
        }


def _length(spans: Iterable[tuple[float, float]]) -> float:
    """Seconds that some spans cover together: a list and its rows are read at the same time."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


def _own_frames(trace: Any) -> list[Any]:
    """A stack trace without the frames of this library that it ends with."""
    frames = list(trace)
    while frames and str(frames[-1][0]).startswith(LIBRARY):
        frames.pop()
    return frames
