"""What the processes of a run count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

SHOWN = 5
"""Examples of each fault that are kept."""


@dataclass(slots=True)
class Tally:
    """Counts by name, and the first few faults in words."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def count(self, name: str, by: int = 1) -> None:
        """Count something that is no fault."""
        self.counts[name] += by

    def fault(self, name: str, words: str) -> None:
        """Count a fault."""
        self.counts[name] += 1
        examples = self.examples.setdefault(name, [])
        if len(examples) < SHOWN:
            examples.append(words)

    @classmethod
    def sum(cls, tallies: Iterable[Tally]) -> Tally:
        """One tally out of those of several processes."""
        total = cls()
        for tally in tallies:
            total.counts.update(tally.counts)
            for name, examples in tally.examples.items():
                kept = total.examples.setdefault(name, [])
                kept += examples[: SHOWN - len(kept)]
        return total
