"""A process that is killed in the middle of a write leaves nothing stale behind.

Each writer writes a row of its own, in one of all the styles, and is killed at a chosen point,
while others read the row, evict it and fill it again.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain

import pytest

from tests.testapp.models import Item

from .history import leftovers
from .history.scene import Scene
from .killed.massacre import Massacre, carry_out, is_cached_again
from .killed.onlooker import Look
from .killed.plans import (
    ANYWHERE,
    BEFORE_BEGIN,
    BEFORE_COMMIT,
    BEFORE_STATEMENT,
    COMMITTED,
    CREATIONS,
    DELETIONS,
    NEW,
    OLD,
    STYLES,
    Plan,
    made_plans,
)

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

SHORT = 1.0
"""Seconds until a mark lapses, for rows that are expected to be cached again."""
LONG = 60.0


LookOn = Callable[[Sequence[Plan]], Look]


@pytest.fixture
def look_on() -> Iterator[LookOn]:
    """Makes looks, whose connections are closed at the end of the test."""
    looks: list[Look] = []

    def make(plans: Sequence[Plan]) -> Look:
        looks.append(Look(plans))
        return looks[-1]

    yield make
    for look in looks:
        look.close()


def test_killed_between_commit_and_end_write_200_times(look_on: LookOn) -> None:
    lapsing = made_plans(COMMITTED, 18, SHORT, first=1)
    plans = lapsing + made_plans(COMMITTED, 182, LONG, first=101)
    done = carry_out(plans, _patient(), look_on)
    _print(done)
    assert _survivors(done) == []
    in_time = [plan for plan in plans if done.ends[plan].seconds < plan.mark_ttl / 2]
    assert len(in_time) > 182, "The machine is too slow for marks of a second."
    assert all(done.marked[plan] for plan in in_time)
    assert _faults(done, in_time) == []
    assert all(done.seen[plan] == NEW for plan in in_time)
    _assert_that_others_filled(done)
    # Absences are not remembered again before the last mark of an unknown key has lapsed.
    present = [plan for plan in lapsing if plan.style not in DELETIONS]
    assert [plan for plan in present if not is_cached_again(done.look, plan)] == []
    _assert_agreement()


@pytest.mark.parametrize("point", [BEFORE_BEGIN, BEFORE_STATEMENT, BEFORE_COMMIT])
def test_killed_before_commit_leaves_the_old_value(point: str, look_on: LookOn) -> None:
    # In autocommit there is nothing between the statement and the commit.
    plans = [
        plan
        for plan in made_plans(point, 2 * len(STYLES), SHORT, first=1)
        if point != BEFORE_COMMIT or plan.style not in ("save_in_autocommit", "save_fields")
    ]
    done = carry_out(plans, _patient(), look_on)
    _print(done)
    assert _survivors(done) == []
    assert _faults(done, plans) == []
    assert set(done.seen.values()) == {OLD}
    assert [plan for plan in plans if not is_cached_again(done.look, plan)] == []
    for plan in plans:  # Whoever was killed has let go of its locks.
        if plan.style not in (*CREATIONS, *DELETIONS):
            assert Item.objects.filter(pk=plan.pk).update(stock=3) == 1
            assert Item.objects.get(pk=plan.pk).stock == 3
    _assert_agreement()


def test_killed_at_any_moment(look_on: LookOn) -> None:
    plans = made_plans(ANYWHERE, 72, LONG, first=1)
    done = carry_out(plans, _patient(), look_on)
    _print(done)
    assert {(end.signal, end.code) for end in done.ends.values()} <= {(signal.SIGALRM, 0), (0, 0)}
    assert _faults(done, plans) == []
    _assert_that_others_filled(done)
    _assert_agreement()


def _patient() -> Scene:
    return Scene.here(TIMEOUT=10)


def _survivors(done: Massacre) -> list[Plan]:
    return [plan for plan, end in done.ends.items() if end.signal != signal.SIGKILL]


def _print(done: Massacre) -> None:
    counts, ends = done.tally.counts, done.ends.values()
    lives = sorted(end.seconds for end in ends)
    print(
        f"\n{sum(end.signal != 0 for end in ends)} of {len(ends)} killed, "
        f"{sum(done.marked.values())} left marks, "
        f"lives of {lives[len(lives) // 2]:.3f} to {lives[-1]:.3f} s; "
        f"{counts['reads']:,} reads, {counts['reads of the new state']:,} of the new state; "
        f"{counts['hit']:,} hits, {counts['fill']:,} fills, {counts['refused_fill']:,} refused, "
        f"{counts['bypass']:,} past marks; {counts['stale']} stale, {counts['dirty']} dirty"
    )


def _faults(done: Massacre, plans: Iterable[Plan]) -> list[str]:
    """What was seen of these rows that should not have been."""
    if not any(done.tally.counts[f"faults of row {plan.pk}"] for plan in plans):
        return []
    return list(chain.from_iterable(done.tally.examples.values()))


def _assert_that_others_filled(done: Massacre) -> None:
    counts = done.tally.counts
    assert counts["fill"] > len(done.ends), counts
    assert counts["refused_fill"] > 0, counts
    assert not counts["error"] + counts["corrupt"], counts


def _assert_agreement() -> None:
    tally = leftovers.compare(Item)
    assert not tally.counts["disagreement"], tally.examples
    assert tally.counts["values"] > 0
