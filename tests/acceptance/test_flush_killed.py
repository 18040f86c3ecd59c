"""Whatever flusher is killed, and wherever: each increment reaches the database once.

The same by itself: `python -m tests.acceptance.flushes --kills 50`.
"""

from __future__ import annotations

import pytest
from django.db import connection

from django_cachepatterns.hooks import FLUSH_STEPS

from .flushes import ground
from .flushes.manner import Manner
from .flushes.plans import POINTS, made_plans
from .flushes.run import Run
from .flushes.verdict import Verdict
from .history.scene import Scene

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

KILLS = 50
ROUNDS = 10
"""How often something is looked for that is found in one round, unless the machine is busy."""


def test_flushers_killed_at_each_step_50_times() -> None:
    verdict = _carried_out(Run(made_plans(KILLS)))
    assert not verdict.others
    assert {point: verdict.kills[point] for point in POINTS} == dict.fromkeys(POINTS, KILLS)
    _assert_that_it_was_tried(verdict)
    assert verdict.differences == {}
    assert sum(verdict.account.values.values()) == sum(verdict.acknowledged.values())
    assert verdict.account.live == verdict.account.values
    assert (verdict.account.pending, verdict.account.leftovers) == (0, [])
    assert not verdict.tally.examples, verdict.tally.examples


def test_each_batch_is_in_the_ledger_and_was_applied_once() -> None:
    verdict = _carried_out(Run(made_plans(4, FLUSH_STEPS, seed=2)))
    assert verdict.differences == {}
    assert verdict.committed <= {*verdict.account.ledger}
    assert len(verdict.account.ledger) == len(verdict.committed) + verdict.account.drained
    assert verdict.applied == dict.fromkeys(verdict.committed, 1)


def test_live_values_of_rows_that_are_cached() -> None:
    # Rows are read from the cache where no sealed batch waits, and where no mark stands, which who
    # is killed in a transaction leaves behind.
    harmless = [step for step in FLUSH_STEPS if step not in ("recorded", "applied")]
    run = Run(made_plans(6, harmless, seed=3), manner=Manner(batch_rows=ground.ROWS), rest=0.04)
    verdict = _carried_out(run)
    assert verdict.differences == {}
    assert not verdict.tally.examples, verdict.tally.examples
    assert verdict.tally.counts["reads of the cache"] > 20, verdict.text()


@pytest.mark.parametrize("missing", ["without ledger", "without id check", "without transaction"])
def test_each_safeguard_is_missed(missing: str) -> None:
    for seed in range(ROUNDS):
        verdict = _carried_out(Run(made_plans(3, seed=seed), missing))
        assert not verdict.others
        if verdict.differences:
            return
    pytest.fail("Nothing was found: a test that cannot fail.")


def _carried_out(run: Run) -> Verdict:
    ground.lay(connection)
    # The servers are given the time they need: what they do in an outage is tested elsewhere.
    verdict = run.carried_out(Scene.here(TIMEOUT=10))
    print(verdict.text())
    assert not verdict.tally.counts["direct"] + verdict.tally.counts["unknown"], verdict.text()
    return verdict


def _assert_that_it_was_tried(verdict: Verdict) -> None:
    assert verdict.overlaps > 10, verdict.text()
    assert verdict.found_applied > KILLS, verdict.text()
    assert verdict.full_batches > 10, verdict.text()
    assert verdict.tally.counts["reads"] > 1000, verdict.text()
