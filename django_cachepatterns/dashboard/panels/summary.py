"""The figures at the top."""

from __future__ import annotations

from typing import Any

from ..advice import TARGET, is_below
from ..glance import Glance
from ..saved import Saved, saved


def of_all(glance: Glance) -> dict[str, Any]:
    """All policies together; saved is what each has saved by itself."""
    each = [saved(measured) for measured in glance.policies.values()]
    seconds = [one.seconds for one in each if one.seconds is not None]
    return {
        **_figures(glance),
        "saved": Saved(sum(one.queries for one in each), sum(seconds) if seconds else None),
        "below": sum(map(is_below, glance.policies.values())),
    }


def of_policy(glance: Glance) -> dict[str, Any]:
    """The policy that is looked at."""
    return {**_figures(glance), "saved": saved(glance.overall)}


def _figures(glance: Glance) -> dict[str, Any]:
    overall = glance.overall
    rate = overall.hit_rate
    return {
        "reads": overall.reads,
        "served": overall.served,
        "hit_rate": rate,
        "target": TARGET,
        "reached": rate is not None and rate >= TARGET,
        "loads": overall.counts.get("load", 0),
        "hit_p50": overall.quantile("hit", 0.5),
        "hit_p95": overall.quantile("hit", 0.95),
        "load_p50": overall.quantile("load", 0.5),
    }
