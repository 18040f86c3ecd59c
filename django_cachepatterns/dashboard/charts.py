"""What charts are drawn from, and how they are told to who does not see them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..metrics.measured import Measured
from .advice import TARGET
from .glance import Glance

Steps = Sequence[tuple[int, Measured]]
QUANTILES = (0.5, 0.95, 0.99)
KINDS = {"hit": "hits", "miss": "misses", "load": "loads"}
LINES = 6
"""Policies that have a line of their own beside that of all."""


def hit_rate(glance: Glance) -> dict[str, Any]:
    """The hit rate over time: of all policies and the busiest, or of the one that is looked at."""
    names: list[str | None] = [glance.family]
    if glance.family is None:
        names += busiest(glance, LINES)
    lines = [(name or "All policies", glance.over_time(name)) for name in names]
    return _chart("Hit rate", "percent", lines, lambda step: step.hit_rate, target=TARGET)


def reads(glance: Glance) -> dict[str, Any]:
    """How much was read over time, and how much of that from the database."""
    steps = glance.over_time(glance.family)
    chart = _chart("Reads", "count", [("Served", steps)], lambda step: step.served)
    lost = _chart("Reads", "count", [("Not served", steps)], lambda step: step.reads - step.served)
    chart["series"] += lost["series"]
    return chart


def latency(glance: Glance, kind: str) -> dict[str, Any]:
    """p50, p95 and p99 of hits, misses or loads over time, in seconds."""
    steps = glance.over_time(glance.family)
    chart = _chart(f"Latency of {KINDS[kind]}", "seconds", [], _nothing, steps=steps)
    for q in QUANTILES:
        values = [measured.quantile(kind, q) for _, measured in steps]
        chart["series"].append({"label": f"p{q * 100:.0f}", "values": values})
    return _described(chart)


def busiest(glance: Glance, most: int) -> list[str]:
    """The names of the policies with the most reads."""
    read = [(measured.reads, name) for name, measured in glance.policies.items() if measured.reads]
    return [name for _, name in sorted(read, reverse=True)[:most]]


def _chart(
    title: str,
    unit: str,
    lines: Iterable[tuple[str, Steps]],
    value: Callable[[Measured], float | None],
    *,
    target: float | None = None,
    steps: Steps = (),
) -> dict[str, Any]:
    series = []
    for label, found in lines:
        steps = steps or found
        known = dict(found)
        values = [value(known[at]) if at in known else None for at, _ in steps]
        series.append({"label": label, "values": values})
    return _described(
        {
            "title": title,
            "unit": unit,
            "target": target,
            "x": [at for at, _ in steps],
            "series": series,
        }
    )


def _described(chart: dict[str, Any]) -> dict[str, Any]:
    """The chart with what it says in one sentence, and whether there is anything to draw."""
    said = []
    for line in chart["series"]:
        known = [value for value in line["values"] if value is not None]
        if known:
            said.append(
                f"{line['label']}: last {_told(known[-1], chart['unit'])}, "
                f"between {_told(min(known), chart['unit'])} and {_told(max(known), chart['unit'])}"
            )
    target = f" The line to reach is {chart['target']:.0%}." if chart["target"] else ""
    chart["said"] = f"{chart['title']} over time. {'. '.join(said) or 'No data yet'}.{target}"
    chart["empty"] = not said
    return chart


def _told(value: float, unit: str) -> str:
    if unit == "percent":
        return f"{value:.0%}"
    if unit == "seconds":
        return duration(value)
    return f"{value:,.0f}"


def duration(seconds: float | None) -> str:
    """Seconds in the unit that people use for as many: `350 µs`, `4.2 ms`, `1.3 s`, `2 min`."""
    if seconds is None:
        return "–"  # noqa: RUF001 - an en dash is what tables have for "nothing"
    if not seconds:
        return "0 s"
    if seconds >= 172_800:
        return f"{seconds / 86400:,.0f} days"
    if seconds >= 7200:
        return f"{seconds / 3600:.0f} h"
    if seconds >= 120:
        return f"{seconds / 60:.0f} min"
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} µs"


def _nothing(measured: Measured) -> None:
    return None
