"""Carry out plans one after another, while others look on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django_redis import get_redis_connection

from django_cachepatterns import keys
from django_cachepatterns.orm.rows import rows_of
from django_cachepatterns.reader import is_mark
from tests.acceptance.history.crew import Crew, Job, at_work, spawn
from tests.acceptance.history.scene import Scene
from tests.acceptance.history.tally import Tally
from tests.testapp.models import Item

from .nursery import PATIENCE, End
from .onlooker import Look
from .plans import Plan, lay

ONLOOKERS = 2


@dataclass
class Massacre:
    """What became of the writers, and what was seen meanwhile."""

    look: Look
    ends: dict[Plan, End] = field(default_factory=dict)
    seen: dict[Plan, int] = field(default_factory=dict)
    """The state that this process read right after each kill."""
    marked: dict[Plan, bool] = field(default_factory=dict)
    """Whether a mark of the writer's stood right after each kill."""
    tally: Tally = field(default_factory=Tally)


def carry_out(
    plans: Sequence[Plan], scene: Scene, look_on: Callable[[Sequence[Plan]], Look]
) -> Massacre:
    """Have each plan carried out by a process of its own."""
    lay(plans)
    done = Massacre(look_on(plans))
    current, stop = spawn.Value("i", 0), spawn.Event()
    ours, theirs = spawn.Pipe()
    jobs = [Job("tests.acceptance.killed.nursery:serve", (theirs,))]
    jobs += [
        Job("tests.acceptance.killed.onlooker:look_on", (plans, current, stop, number))
        for number in range(ONLOOKERS)
    ]
    with at_work(scene, jobs) as crew, _stopped(ours, stop):
        for at, plan in enumerate(plans):
            current.value = at
            ours.send(plan)
            assert ours.poll(2 * PATIENCE), f"No answer about {plan}"
            done.ends[plan] = ours.recv()
            done.marked[plan] = _is_marked(done.look, plan)
            done.seen[plan] = done.look.at(plan)
        done.tally = _tallies(crew, done, ours, stop)
    return done


def is_cached_again(look: Look, plan: Plan, within: float = 30.0) -> bool:
    """Whether reads of a row cost no SQL again, before `within` seconds have passed."""
    ends = time.monotonic() + within
    while time.monotonic() < ends:
        with CaptureQueriesContext(connection) as queries:
            look.at(plan)
        if not queries:
            return True
        time.sleep(0.05)
    return False


def _tallies(crew: Crew, done: Massacre, orders: object, stop: object) -> Tally:
    stop.set()
    orders.send(None)
    _, *tallies = crew.results(PATIENCE)
    return Tally.sum([done.look.tally, *tallies])


@contextmanager
def _stopped(orders: object, stop: object) -> Iterator[None]:
    try:
        yield
    finally:
        stop.set()


def _is_marked(look: Look, plan: Plan) -> bool:
    """Whether the writer's mark stands."""
    family = rows_of(Item).family
    # Which keys its rows will have, a bulk_create does not know.
    bulk = plan.style == "bulk_create"
    data = get_redis_connection("default").get(keys.absences(family) if bulk else look.key(plan))
    return data is not None and is_mark(data)
