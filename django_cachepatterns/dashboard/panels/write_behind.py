"""Write-behind: what waits, for how long, and what the database has refused."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import DatabaseError, InterfaceError
from django.db.models import Count, QuerySet

from ... import conf
from ...exceptions import CachePatternsError
from ...metrics.measured import Measured
from ...write_behind import dead_letters, registry
from ...write_behind.records import DeadLetter
from ...write_behind.tenants import waiting
from ..glance import BUFFERS, CACHE, Glance

if TYPE_CHECKING:
    from ...write_behind.buffer import Buffer

SHORTEST = 5.0
"""Seconds that anything may wait."""
LATE = 3
"""Flushes that a buffer may be behind before that is said."""


@dataclass(frozen=True)
class Line:
    """A buffer.

    Args:
        buffer: the buffer.
        rows: rows that wait; `None` where the server does not say.
        age: seconds since the oldest of them was counted; `None`: nothing waits.
        measured: what was counted of it.
        letters: its dead letters; `None` where the database does not say.
    """

    buffer: Buffer[Any]
    rows: int | None
    age: float | None
    measured: Measured
    letters: int | None

    @property
    def late(self) -> bool:
        """Whether flushes do not keep up, or nobody flushes."""
        return self.age is not None and self.age > max(LATE * self.buffer.flush_every, SHORTEST)

    @property
    def flushed(self) -> int:
        """Rows that were written in the range."""
        return self.measured.counts.get("flushed", 0)

    @property
    def errors(self) -> int:
        """Flushes that failed in the range."""
        return self.measured.counts.get("flush_error", 0)


def buffers(glance: Glance) -> dict[str, Any] | None:
    """Every buffer; `None` where the project has none."""
    found = registry.buffers()
    if not found:
        return None
    letters = _letters(glance)
    lines = [_line(glance, buffer, letters) for buffer in found]
    return {
        "lines": lines,
        "counted": CACHE not in glance.down,
        "rows": sum(line.rows or 0 for line in lines),
        "letters": None if letters is None else letters.total(),
        "late": any(line.late for line in lines),
        "flush_known": all(line.rows is not None for line in lines),
    }


def _line(glance: Glance, buffer: Buffer[Any], letters: Counter[str] | None) -> Line:
    found = glance.ask(lambda: waiting(buffer), None, BUFFERS)
    rows = age = None
    if found is not None:
        rows = sum(each.rows for each in found)
        age = max((each.age / 1000 for each in found), default=None)
    measured = glance.totals.get(buffer.name, Measured())
    mine = None if letters is None else letters[buffer.name]
    return Line(buffer, rows, age, measured, mine)


def _letters(glance: Glance) -> Counter[str] | None:
    """Dead letters by buffer; `None` where nobody says."""
    counts: Counter[str] = Counter()
    try:
        found = _letters_waiting(glance)
        if found is None:
            return None
        for letters in found:
            each = letters.order_by().values_list("buffer").annotate(number=Count("pk"))
            counts.update(dict(each))
    except (DatabaseError, InterfaceError, CachePatternsError):
        return None
    return counts


def _letters_waiting(glance: Glance) -> list[QuerySet[DeadLetter]] | None:
    """Where they are: in databases, and which those are, the server knows where there are tenants;
    `None` where that is down."""
    if conf.config().tenant is None:
        return dead_letters.waiting()
    nothing: list[QuerySet[DeadLetter]] | None = None
    return glance.ask(dead_letters.waiting, nothing, BUFFERS)
