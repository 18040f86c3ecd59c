"""One run: everyone begins together, and when the last flusher was killed the account is made."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.acceptance.history.crew import Job, at_work, spawn
from tests.acceptance.history.scene import Scene
from tests.acceptance.history.tally import Tally

from .chronicle import Chronicle
from .counts import Counts
from .plans import Plan
from .verdict import Verdict

LANES, WRITERS, READERS = 2, 2, 1
PATIENCE = 300.0
_HERE = "tests.acceptance.flushes"


@dataclass(frozen=True, slots=True)
class Run:
    """What is done in a run.

    Args:
        plans: where flushers are killed; every second one in the same lane.
        missing: the safeguard that is taken away, by its name in `sabotage`.
    """

    plans: Sequence[Plan]
    missing: str | None = None

    def carried_out(self, scene: Scene) -> Verdict:
        """Carry it out, on rows that are laid."""
        with tempfile.TemporaryDirectory(prefix="flushes-") as folder:
            return self._carry_out(scene, Chronicle(Path(folder) / "steps"))

    def _carry_out(self, scene: Scene, chronicle: Chronicle) -> Verdict:
        counts = Counts(WRITERS)
        done = [spawn.Event() for _ in range(LANES)]
        stop, over = spawn.Event(), spawn.Event()
        jobs = [
            Job(f"{_HERE}.lanes:serve", (self.plans[n::LANES], chronicle, self.missing, each, stop))
            for n, each in enumerate(done)
        ]
        jobs += [Job(f"{_HERE}.writers:write", (n, counts, stop)) for n in range(WRITERS)]
        jobs += [Job(f"{_HERE}.reader:read", (n, counts, stop)) for n in range(READERS)]
        jobs += [Job(f"{_HERE}.account:settle", (over,))]
        with at_work(scene, jobs) as crew:
            began = time.monotonic()
            try:
                for each in done:
                    crew.wait(each, PATIENCE)
            finally:
                stop.set()
            seconds = time.monotonic() - began
            results = crew.results(PATIENCE, slice(-1))
            over.set()
            (account,) = crew.results(PATIENCE, slice(-1, None))
        survivors = [plan for lane in results[:LANES] for plan in lane]
        return Verdict(
            list(chronicle.events()),
            account,
            counts.all_acknowledged(),
            Tally.sum(results[LANES:]),
            survivors,
            seconds,
        )
