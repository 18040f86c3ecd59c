"""What a run has found."""

from __future__ import annotations

from dataclasses import dataclass

from .tally import Tally
from .workload import Workload

FAULTS = ("stale", "dirty", "wrong", "own", "disagreement", "marks left", "leases left")


@dataclass(frozen=True, slots=True)
class Verdict:
    """The counts of all processes of a run."""

    workload: Workload
    subject: str
    tally: Tally

    def __getitem__(self, name: str) -> int:
        return self.tally.counts[name]

    @property
    def faults(self) -> dict[str, int]:
        """Those that were found, by name."""
        return {name: self[name] for name in FAULTS if self[name]}

    @property
    def hit_rate(self) -> float:
        """Hits among everything that readers asked the cache for."""
        asked = sum(self[name] for name in ("hit", "negative", "miss", "wait", "bypass"))
        if self.subject == "control":
            asked = self["hit"] + self["load"]
        return self["hit"] / asked if asked else 0.0

    def text(self) -> str:
        """The verdict in words."""
        work = self.workload
        lines = [
            f"{self.subject}, {work.seconds:g} s, {work.writers} writers, "
            f"readers: {', '.join(work.readers)}",
            f"  {self['reads']:,} reads of {self['judged']:,} rows, hit rate {self.hit_rate:.0%}; "
            f"{self['committed']:,} writes committed, {self['rolled back']:,} rolled back",
            f"  {self['fill']:,} fills, {self['refused_fill']:,} refused; "
            f"{self['entries']:,} entries compared at the end",
            "  found: " + ", ".join(f"{self[name]:,} {name}" for name in FAULTS),
        ]
        lines += [
            f"    {name}: {words}"
            for name, examples in self.tally.examples.items()
            for words in examples
        ]
        return "\n".join(lines)

    def details(self) -> str:
        """Every count."""
        counts = sorted(self.tally.counts.items())
        return "\n".join(f"  {number:>9,} {name}" for name, number in counts)
