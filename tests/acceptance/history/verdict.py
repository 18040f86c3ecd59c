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
            f"readers: {', '.join(work.readers)}, of {work.threads} threads each",
            f"  {self['reads']:,} reads, {self['judged']:,} judged, hit rate {self.hit_rate:.0%}; "
            f"{self['committed']:,} writes committed, {self['rolled back']:,} rolled back",
            f"  {self['fill']:,} fills, {self['refused_fill']:,} refused; "
            f"{self['entries']:,} entries compared at the end",
            *self._areas(),
            "  found: " + ", ".join(f"{self[name]:,} {name}" for name in FAULTS),
        ]
        lines += [
            f"    {name}: {words}"
            for name, examples in self.tally.examples.items()
            for words in examples
        ]
        return "\n".join(lines)

    @property
    def untried(self) -> list[str]:
        """Ways to write that no writer came to."""
        counts = self.tally.counts
        return [name for name in counts if name.startswith("style: ") and not counts[name]]

    def served(self, area: str) -> float:
        """The share of an area's reads that the cache alone has answered."""
        return self[f"served: {area}"] / max(1, self[f"asked: {area}"])

    def _areas(self) -> list[str]:
        lines = []
        for area in self.workload.areas:
            faults = (f", {self[f'{name} in {area}']:,} {name}" for name in ("stale", "dirty"))
            lines.append(
                f"    {area}: {self[f'asked: {area}']:,} reads, "
                f"{self.served(area):.0%} from the cache alone" + "".join(faults)
            )
        return lines

    def details(self) -> str:
        """Every count."""
        counts = sorted(self.tally.counts.items())
        return "\n".join(f"  {number:>9,} {name}" for name, number in counts)
