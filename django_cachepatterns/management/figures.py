"""What `cache_stats` shows: figures of policies and of write-behind, from all processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..exceptions import CachePatternsError
from ..metrics import history
from ..metrics.measured import Measured
from ..write_behind import registry
from ..write_behind.tenants import waiting

QUANTILES = (0.5, 0.95, 0.99)
TIMED = ("hit", "load")


@dataclass(frozen=True)
class Backlog:
    """A write-behind buffer.

    Args:
        rows: rows that wait; `None` where the server does not say.
        age: seconds since the oldest of them was counted; `None` where nothing waits.
        measured: what was counted of it.
    """

    rows: int | None
    age: float | None
    measured: Measured

    def as_json(self) -> dict[str, Any]:
        """The same for a JSON document."""
        counted = self.measured.counts
        return {
            "waiting": self.rows,
            "oldest_seconds": self.age,
            "flushed": counted.get("flushed", 0),
            "flush_errors": counted.get("flush_error", 0),
            "dead_letters": counted.get("dead_letter", 0),
        }


@dataclass(frozen=True)
class Figures:
    """Policies and buffers, by their names."""

    policies: Mapping[str, Measured]
    buffers: Mapping[str, Backlog]

    def as_json(self) -> dict[str, Any]:
        """The same for a JSON document. Times are in seconds."""
        return {
            "policies": {name: _measured(each) for name, each in self.policies.items()},
            "buffers": {name: each.as_json() for name, each in self.buffers.items()},
        }


def figures(range_name: str) -> Figures:
    """The figures of a range of `metrics.history`. Raises `StoreUnavailable`."""
    totals = history.totals(range_name)
    buffers = {buffer.name: buffer for buffer in registry.buffers()}
    policies = {
        name: each
        for name, each in totals.items()
        if name and name not in buffers and (each.reads or each.counts.get("load"))
    }
    backlog = {name: _backlog(each, totals.get(name)) for name, each in buffers.items()}
    return Figures(policies, backlog)


def _backlog(buffer: Any, measured: Measured | None) -> Backlog:
    try:
        batches = waiting(buffer)
    except CachePatternsError:
        return Backlog(None, None, measured or Measured())
    age = max((each.age / 1000 for each in batches), default=None)
    return Backlog(sum(each.rows for each in batches), age, measured or Measured())


def _measured(each: Measured) -> dict[str, Any]:
    times = {kind: {f"p{q * 100:.0f}": each.quantile(kind, q) for q in QUANTILES} for kind in TIMED}
    return {
        "reads": each.reads,
        "served": each.served,
        "hit_rate": each.hit_rate,
        "sql_saved": each.saved,
        "refused_fills": each.counts.get("refused_fill", 0),
        "errors": each.counts.get("error", 0),
        "seconds": times,
        "counts": dict(each.counts),
    }
