"""How long reads and loads take."""

from __future__ import annotations

from typing import Any

from .. import charts
from ..glance import Glance


def latency(glance: Glance) -> dict[str, Any]:
    """The quantiles of the whole range, and charts of each over time."""
    measured = glance.overall
    rows = [
        {
            "name": name,
            "number": sum(measured.times.get(kind, {}).values()),
            "quantiles": [measured.quantile(kind, q) for q in charts.QUANTILES],
        }
        for kind, name in charts.KINDS.items()
    ]
    drawn = [(f"latency-{kind}", charts.latency(glance, kind)) for kind in charts.KINDS]
    return {
        "rows": rows,
        "quantiles": [f"p{q * 100:.0f}" for q in charts.QUANTILES],
        "charts": drawn,
    }
