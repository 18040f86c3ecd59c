"""One run: everyone begins together, and when the last flusher was killed the account is made."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.acceptance.history.crew import Job, at_work, spawn
from tests.acceptance.history.scene import Scene
from tests.acceptance.history.tally import Tally

from .chronicle import Chronicle
from .counts import Counts
from .manner import Manner
from .outages import Outages
from .plans import VALKEY, Plan
from .verdict import Verdict

LANES, WRITERS, READERS = 2, 2, 1
PATIENCE = 300.0
_HERE = "tests.acceptance.flushes"


@dataclass(frozen=True, slots=True)
class Run:
    """What is done in a run.

    Args:
        plans: where flushers are killed; every second one in the same lane.
        missing: the safeguard of flushing that is taken away, by its name in `sabotage`.
        servers: handles of the servers that flushers may have killed, by their names in `plans`.
        manner: how writers count.
        rest: seconds between two flushes of a lane.
    """

    plans: Sequence[Plan]
    missing: str | None = None
    servers: Mapping[str, Any] = field(default_factory=dict)
    manner: Manner = field(default_factory=Manner)
    rest: float = 0

    def carried_out(self, scene: Scene) -> Verdict:
        """Carry it out, on rows that are laid."""
        with tempfile.TemporaryDirectory(prefix="flushes-") as folder:
            return self._carry_out(scene, Chronicle(Path(folder) / "steps"))

    def _carry_out(self, scene: Scene, chronicle: Chronicle) -> Verdict:
        counts = Counts(WRITERS)
        done, pipes = [spawn.Event() for _ in range(LANES)], [spawn.Pipe() for _ in range(LANES)]
        stop, over = spawn.Event(), spawn.Event()
        jobs = [
            *self._lanes(chronicle, [theirs for _, theirs in pipes], done, stop),
            *self._others(counts, stop),
            Job(f"{_HERE}.account:settle", (over,)),
        ]
        with at_work(scene, jobs) as crew:
            began = time.monotonic()
            outages = Outages(self.servers, [ours for ours, _ in pipes], counts)
            try:
                for each in done:
                    crew.wait(each, PATIENCE, meanwhile=outages.attend)
            finally:
                stop.set()
            seconds = time.monotonic() - began
            results = crew.results(PATIENCE, slice(-1))
            over.set()
            (account,) = crew.results(PATIENCE, slice(-1, None))
        return Verdict(
            list(chronicle.events()),
            account,
            counts.all_acknowledged(),
            Tally.sum(results[LANES:]),
            [plan for lane in results[:LANES] for plan in lane],
            seconds,
        )

    def _lanes(
        self, chronicle: Chronicle, pipes: Sequence[Any], done: Sequence[Any], stop: Any
    ) -> list[Job]:
        serve = f"{_HERE}.lanes:serve"
        parts = [self.plans[n::LANES] for n in range(LANES)]
        return [
            Job(serve, (plans, chronicle, pipe, self.rest, self.missing, end, stop))
            for plans, pipe, end in zip(parts, pipes, done, strict=True)
        ]

    def _others(self, counts: Counts, stop: Any) -> list[Job]:
        writer, reader = f"{_HERE}.writers:write", f"{_HERE}.reader:read"
        return [
            *(Job(writer, (n, counts, self.manner, stop)) for n in range(WRITERS)),
            *(Job(reader, (n, counts, VALKEY not in self.servers, stop)) for n in range(READERS)),
        ]
