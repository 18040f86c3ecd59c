"""Policies: their hit rates, what to do about the low ones, and their hottest keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ... import conf
from ...metrics.measured import Measured
from .. import charts
from ..advice import FEW, TARGET, Advice, Case, advise, is_below
from ..families import Family, family_of
from ..glance import Glance
from ..saved import Saved, saved

MOST_ADVISED = 8
SIZES = "_bytes"
"""How the names of outcomes end that are bytes."""


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    family: Family
    measured: Measured
    saved: Saved

    @property
    def below(self) -> bool:
        """Whether it serves less than it should."""
        return is_below(self.measured)

    @property
    def few(self) -> bool:
        """Whether its reads are too few to say."""
        return 0 < self.measured.reads < FEW

    @property
    def lost(self) -> int:
        """Reads that were not served."""
        return self.measured.reads - self.measured.served

    @property
    def load_p50(self) -> float | None:
        """What half of the loads took less than, in seconds."""
        return self.measured.quantile("load", 0.5)


def hit_rate(glance: Glance) -> dict[str, Any]:
    """The chart."""
    return {"chart": charts.hit_rate(glance), "chart_id": "hit-rate"}


def table(glance: Glance) -> dict[str, Any]:
    """Every policy, the busiest first."""
    rows = [
        Row(family_of(name), measured, saved(measured))
        for name, measured in glance.policies.items()
    ]
    rows.sort(key=lambda row: (-row.measured.reads, row.family.name))
    return {"rows": rows, "target": TARGET}


def advice(glance: Glance) -> dict[str, Any] | None:
    """The policies below the line, those that lose the most reads first, and what to do."""
    below = [(name, measured) for name, measured in glance.policies.items() if is_below(measured)]
    below.sort(key=lambda each: each[1].served - each[1].reads)
    cases = [
        {"family": family_of(name), "measured": measured, "advice": _advice(glance, name, measured)}
        for name, measured in below[:MOST_ADVISED]
    ]
    more = len(below) - len(cases)
    return {"cases": cases, "more": more, "target": TARGET, "reads": glance.overall.reads}


def advice_for_policy(glance: Glance) -> dict[str, Any]:
    """What to do about the policy that is looked at."""
    measured = glance.overall
    name = glance.family or ""
    return {
        "advice": _advice(glance, name, measured),
        "measured": measured,
        "few": measured.reads < FEW,
        "least": FEW,
        "target": TARGET,
    }


def outcomes(glance: Glance) -> dict[str, Any]:
    """Everything that was counted of the policy that is looked at."""
    counts = [each for each in glance.overall.counts.items() if each[1]]
    counts.sort(key=lambda each: (each[0].endswith(SIZES), -each[1]))
    return {
        "counts": [
            (name.replace("_", " "), number, name.endswith(SIZES)) for name, number in counts
        ]
    }


def options(glance: Glance) -> dict[str, Any]:
    """How the policy that is looked at caches."""
    family = family_of(glance.family or "")
    if family.policy is None:
        return {"family": family, "options": []}
    names = ("pattern", "ttl", "soft_ttl", "negative_ttl", "invalidation", "stampede", "lookups")
    more = ("indexes", "codec", "admit_after", "max_size", "refresh")
    found = [(name, _told(getattr(family.policy, name))) for name in (*names, *more)]
    return {"family": family, "options": [each for each in found if each[1]]}


def hottest(glance: Glance) -> dict[str, Any]:
    """The keys that are asked for most; one that says what is private is shown without it, and no
    link."""
    root = f"{conf.config().key_space().root}:"
    rows = []
    for key, weight in glance.hottest:
        shown = glance.shown(key)
        rows.append((key if shown == key else "", shown.removeprefix(root), weight))
    return {"keys": rows}


def _advice(glance: Glance, name: str, measured: Measured) -> list[Advice]:
    family = family_of(name)
    return advise(Case(measured, family.policy, glance.known, family.kind))


def _told(value: Any) -> str:
    if value is None or value == ():
        return ""
    if isinstance(value, tuple):
        return ", ".join(" + ".join(each) if isinstance(each, tuple) else each for each in value)
    return str(value)
