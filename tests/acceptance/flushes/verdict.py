"""What a run has shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from tests.acceptance.history.tally import Tally

from .account import Account
from .chronicle import FAILED, KILLED, NO_BATCH, OUTAGE, Event
from .ground import BATCH_ROWS
from .plans import POINTS, Plan


@dataclass(frozen=True)
class Verdict:
    """What a run has shown.

    Args:
        events: what the flushers did.
        account: what there was at the end.
        acknowledged: what writers were told is counted, by row.
        tally: what writers and readers counted.
        others: plans of flushers that have not come to the end that they should.
        seconds: how long it took.
    """

    events: Sequence[Event]
    account: Account
    acknowledged: dict[int, int]
    tally: Tally
    others: Sequence[Plan]
    seconds: float

    @cached_property
    def differences(self) -> dict[int, int]:
        """By how much the database is wrong, by row; rows that are right are left out."""
        values = self.account.values
        found = {pk: values.get(pk, 0) - sum_ for pk, sum_ in self.acknowledged.items()}
        return {pk: difference for pk, difference in found.items() if difference}

    @cached_property
    def kills(self) -> Counter[str]:
        """How often a flusher was killed, by step."""
        return Counter(event.words for event in self.events if event.what == KILLED)

    @cached_property
    def outages(self) -> Counter[str]:
        """How often a server was away, by what was asked for."""
        return Counter(event.words for event in self.events if event.what == OUTAGE)

    @cached_property
    def failures(self) -> list[str]:
        """Why flushes have failed."""
        return [event.words for event in self.events if event.what == FAILED]

    @cached_property
    def committed(self) -> set[str]:
        """The batches of which a flusher has said that they are in the database."""
        return {event.batch for event in self.events if event.what == "committed"}

    @cached_property
    def applied(self) -> Counter[str]:
        """How many flushers have committed a batch that was not in the ledger, by batch."""
        recorded: set[tuple[int, str]] = set()
        found: Counter[str] = Counter()
        for event in self.events:
            if event.what == "recorded":
                recorded.add((event.pid, event.batch))
            elif event.what == "committed" and (event.pid, event.batch) in recorded:
                found[event.batch] += 1
        return found

    @cached_property
    def found_applied(self) -> int:
        """How often a flusher has found that its batch was in the ledger already."""
        recorded = {(each.pid, each.batch) for each in self.events if each.what == "recorded"}
        ends = [(each.pid, each.batch) for each in self.events if each.what == "committed"]
        return sum(end not in recorded for end in ends)

    @cached_property
    def overlaps(self) -> int:
        """How often a flusher has read a batch that another, alive, was at."""
        hands: dict[int, str] = {}
        found = 0
        for event in self.events:
            if event.what in ("acked", KILLED, FAILED, "claimed", "sealed"):
                hands.pop(event.pid, None)
            elif event.what == "read" and event.batch != NO_BATCH:
                hands[event.pid] = event.batch
                found += sum(batch == event.batch for batch in hands.values()) > 1
        return found

    @property
    def full_batches(self) -> int:
        """Batches that have sealed themselves."""
        return sum(rows >= BATCH_ROWS for rows in self.account.ledger.values())

    def table(self) -> str:
        """The figures of each step, in lines."""
        steps = Counter(event.what for event in self.events)
        lines = [f"{'step':<12}{'reached':>9}{'killed':>8}"]
        for point in POINTS:
            reached = f"{steps[point]:,}" if point in steps else ""
            lines.append(f"{point:<12}{reached:>9}{self.kills[point]:>8}")
        return "\n".join(lines)

    def text(self) -> str:
        """The figures."""
        counts = self.tally.counts
        kills = ", ".join(f"{self.kills[point]} {point}" for point in POINTS if self.kills[point])
        outages = ", ".join(f"{name}: {number}" for name, number in self.outages.items())
        return (
            f"\n{self.seconds:.1f} s; {sum(self.kills.values())} flushers killed ({kills}); "
            f"outages: {sum(self.outages.values())} ({outages}); "
            f"{len(self.account.ledger):,} batches, {self.full_batches:,} full; "
            f"{self.overlaps:,} times two at one batch, {self.found_applied:,} times it was "
            f"applied already; {len(self.failures)} flushes failed\n"
            f"{counts['calls']:,} calls, {counts['increment']:,} increments, a sum of "
            f"{sum(self.acknowledged.values()):,}; {counts['direct']:,} direct, "
            f"{counts['unknown']:,} unknown, {counts['outcomes unknown']:,} to be tried again, in "
            f"{counts['tries again']:,} tries; {counts['reads']:,} live values "
            f"({counts['reads of the cache']:,} without a query), "
            f"{counts['backwards']} went backwards, {counts['too little']} too little, "
            f"{counts['too much']} too much; difference {sum(self.differences.values())} in "
            f"{len(self.differences)} rows"
        )
