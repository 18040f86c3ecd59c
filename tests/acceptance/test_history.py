"""No read shows less than was committed before it began, and none what never was.

The same checker by itself, for longer: `python -m tests.acceptance.history --seconds 60`.
"""

from __future__ import annotations

import pytest

from .history.areas import (
    AREAS,
    COUNTS,
    FUNCTIONS,
    LISTS,
    LOOKUPS,
    ROWS,
    SESSIONS,
    WRITE_THROUGH,
)
from .history.checker import check
from .history.scene import Scene
from .history.verdict import Verdict
from .history.workload import ATOMIC, AUTOCOMMIT, REPEATABLE_READ, Workload

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

STYLES = (
    "one row",
    "autocommit",
    "several rows",
    "several rows by one UPDATE",
    "savepoint rolled back",
    "savepoint of another row rolled back",
    "savepoint released",
    "deleted or made",
    "slug moved",
    "slugs swapped",
)
REGRETS = (
    "rolled back: Regret",
    "failed at COMMIT: IntegrityError",
    "failed statement: IntegrityError",
    "made or deleted, and rolled back: Regret",
    "savepoints rolled back",
)

# Readers in transactions are given one in autocommit, who is the first to believe what they
# should not have published.
MIXES = {
    AUTOCOMMIT: (AUTOCOMMIT, AUTOCOMMIT, AUTOCOMMIT),
    ATOMIC: (ATOMIC, ATOMIC, AUTOCOMMIT),
    REPEATABLE_READ: (REPEATABLE_READ, REPEATABLE_READ, AUTOCOMMIT),
}


ROUNDS = 10
"""How often something is looked for that is found in one round, unless the machine is busy."""


@pytest.mark.parametrize("kind", MIXES)
def test_no_stale_dirty_or_disagreeing_reads(kind: str) -> None:
    workload = Workload(seconds=8, readers=MIXES[kind], areas=(ROWS, LOOKUPS))
    verdict = check(workload, "cachepatterns", _patient())
    print(verdict.text())
    assert not verdict.faults, verdict.text()
    _assert_that_the_cache_was_used(verdict)
    _assert_that_everything_was_tried(verdict)


def test_no_stale_or_dirty_answers() -> None:
    areas = (LISTS, COUNTS, WRITE_THROUGH, FUNCTIONS, SESSIONS)
    verdict = check(Workload(seconds=10, areas=areas, gap=0.02), "cachepatterns", _patient())
    print(verdict.text())
    assert not verdict.faults, verdict.text()
    for area in areas:
        assert verdict[f"asked: {area}"] > 100, verdict.details()
        assert verdict[f"served: {area}"] > 10, verdict.details()
    assert not verdict["corrupt"] + verdict["error"] + verdict["lost_mark"], verdict.details()
    assert not verdict.untried, verdict.details()


def test_no_stale_or_dirty_reads_while_others_warm_and_drop() -> None:
    areas = (ROWS, LOOKUPS, LISTS, WRITE_THROUGH)
    workload = Workload(seconds=8, readers=MIXES[ATOMIC], areas=areas, warmers=2)
    verdict = check(workload, "cachepatterns", _patient())
    print(verdict.text())
    assert not verdict.faults, verdict.text()
    assert verdict["warmed"] > 300, verdict.details()
    assert verdict["dropped"] > 30, verdict.details()
    for reason in ("written meanwhile", "others were at it"):
        assert verdict[f"not warmed: {reason}"] > 0, verdict.details()
    assert not verdict["corrupt"] + verdict["error"] + verdict["lost_mark"], verdict.details()


def test_a_cache_written_by_hand_is_caught() -> None:
    stale = dirty = 0
    unsuspected = {*AREAS} - {LOOKUPS}
    for seed in range(ROUNDS):
        verdict = check(Workload(seconds=8, seed=seed), "control", _patient())
        print(verdict.text())
        assert verdict.hit_rate > 0.5
        stale += verdict["stale"]
        dirty += verdict["dirty"]
        unsuspected -= {area for area in unsuspected if _is_caught(verdict, area)}
        if stale + dirty >= 1000 and min(stale, dirty) >= 100 and not unsuspected:
            return
    pytest.fail(f"{stale} stale and {dirty} dirty reads, none of {unsuspected}: it cannot fail.")


@pytest.mark.parametrize(
    ("sabotage", "readers", "areas"),
    [
        ("without-marks", MIXES[AUTOCOMMIT], (ROWS, LOOKUPS)),
        ("without-tokens", MIXES[AUTOCOMMIT], (ROWS, LOOKUPS)),
        ("publishes-snapshots", MIXES[REPEATABLE_READ], (ROWS, LOOKUPS)),
        ("without-tags", MIXES[AUTOCOMMIT], (LISTS, COUNTS, FUNCTIONS)),
        ("without-old-values", MIXES[AUTOCOMMIT], (LISTS, COUNTS)),
        ("warms-without-leases", MIXES[AUTOCOMMIT], (ROWS, LOOKUPS)),
        ("installs-unchecked", MIXES[AUTOCOMMIT], (WRITE_THROUGH,)),
    ],
)
def test_each_safeguard_is_missed(
    sabotage: str, readers: tuple[str, ...], areas: tuple[str, ...]
) -> None:
    for seed in range(ROUNDS):
        hot = 4 if WRITE_THROUGH in areas else 2
        workload = Workload(
            seconds=4,
            readers=readers,
            writers=hot,
            warmers=int(sabotage.startswith("warms")),
            areas=areas,
            seed=seed,
        )
        verdict = check(workload, sabotage, _patient())
        print(verdict.text())
        if verdict["stale"] + verdict["dirty"]:
            return
    pytest.fail("Nothing was found: a checker that cannot fail.")


def _is_caught(verdict: Verdict, area: str) -> bool:
    return verdict[f"stale in {area}"] + verdict[f"dirty in {area}"] > 0


def _patient() -> Scene:
    """A cache that is given the time it needs: an overloaded machine is not what is tested here."""
    return Scene.here(TIMEOUT=10)


def _assert_that_the_cache_was_used(verdict: Verdict) -> None:
    assert verdict["hit"] > 300, verdict.details()
    assert verdict.hit_rate > 0.3, verdict.details()
    assert verdict["fill"] > 50, verdict.details()
    assert verdict["refused_fill"] > 0, verdict.details()
    assert verdict["values"] > 0, verdict.details()
    assert not verdict["corrupt"] + verdict["error"] + verdict["lost_mark"], verdict.details()
    assert not verdict["writers' error"] + verdict["writers' lost_mark"], verdict.details()


def _assert_that_everything_was_tried(verdict: Verdict) -> None:
    tried = [*(f"committed: {style}" for style in STYLES), *REGRETS]
    assert not [name for name in tried if not verdict[name]], verdict.details()
