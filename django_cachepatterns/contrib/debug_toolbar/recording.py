"""The reads of one request, and what they come to."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from time import perf_counter
from typing import Any

from debug_toolbar.utils import get_stack_trace, render_stacktrace

from ... import hooks
from ...metrics.outcomes import SERVED
from ...monitoring.instead import instead
from ...orm.lookups import Lookup

LIBRARY = str(Path(__file__).parent.parent.parent)
LIST = ":list"
Span = tuple[float, float]
"""When something began, and was over."""
_COLUMNS = re.compile(r"SELECT (DISTINCT )?.*? FROM ", re.DOTALL)


class Recording:
    """The reads of one request: plain data, so that the toolbar can store it."""

    def __init__(self) -> None:
        self.reads: list[dict[str, Any]] = []
        self._spans: list[Span] = []
        self._own: list[Span] = []
        """When this was at work itself, which the time of a list would have in it."""

    def add(self, read: hooks.Read) -> None:
        """Take note of a read, in the thread that has made it."""
        ended = perf_counter()
        started = ended - read.seconds
        seconds = read.seconds - sum(end - start for start, end in self._own if start >= started)
        served = sum(outcome in SERVED for outcome in read.outcomes)
        statement = instead(read.source, read.keys)
        self.reads.append(
            {
                "family": read.family,
                "keys": [key.decode("utf-8", "replace") for key in read.keys],
                "outcomes": dict(Counter(read.outcomes)),
                "served": served,
                # Nobody has timed what was left to Django.
                "milliseconds": seconds * 1000 if read.seconds else None,
                "saved": served == len(read.keys),
                "is_part": False,
                "is_lookup": isinstance(read.source, Lookup),
                "statement": statement,
                "short": _COLUMNS.sub(r"SELECT \1... FROM ", statement, count=1),
                "trace": str(render_stacktrace(_own_frames(get_stack_trace(skip=2)))),
            }
        )
        self._spans.append((started, ended))
        self._own.append((ended, perf_counter()))

    def totals(self) -> dict[str, Any]:
        """What the reads come to."""
        self._join_lists()
        self._join_lookups()
        keys = sum(len(each["keys"]) for each in self.reads)
        served = sum(each["served"] for each in self.reads)
        calls = [each for each in self.reads if not each["is_part"]]
        return {
            "calls": len(calls),
            "keys": keys,
            "served": served,
            "hit_rate": 100 * served / keys if keys else None,
            "saved": sum(each["saved"] for each in calls),
            "milliseconds": (_length(self._spans) - _covered(self._own, self._spans)) * 1000,
        }

    def _join_lists(self) -> None:
        """A list's rows are read along with it, in one call that saves one query at most."""
        for read, (started, ended) in zip(self.reads, self._spans, strict=True):
            if not read["family"].endswith(LIST):
                continue
            family = read["family"].removesuffix(LIST)
            for other, (begun, over) in zip(self.reads, self._spans, strict=True):
                if other["family"] == family and begun < ended and over > started:
                    other["is_part"] = True
                    read["saved"] = read["saved"] and other["saved"]

    def _join_lookups(self) -> None:
        """The row that a lookup leads to is read in the same call, which saves one query at most.

        Its time is not known by itself, or is that of the whole call.
        """
        for (lookup, (_, ended)), (row, (begun, _)) in pairwise(
            zip(self.reads, self._spans, strict=True)
        ):
            if not lookup["is_lookup"] or row["is_lookup"] or row["family"] != lookup["family"]:
                continue
            untimed = row["milliseconds"] is None and "bypass" not in row["outcomes"]
            if untimed or begun < ended:
                row["is_part"] = True
                lookup["saved"] = lookup["saved"] and row["saved"]


def _covered(spans: Iterable[Span], by: Iterable[Span]) -> float:
    """Seconds of some spans that lie in others."""
    by = list(by)
    return _length(
        (max(start, begun), min(end, over))
        for start, end in spans
        for begun, over in by
        if start < over and begun < end
    )


def _length(spans: Iterable[Span]) -> float:
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
