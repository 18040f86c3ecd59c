"""A process that reads the rows that are being written, and keeps their entries moving."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import Any

from django.db import connection

from django_cachepatterns import hooks, keys, metrics
from django_cachepatterns.orm.rows import rows_of
from tests.acceptance.history.tally import Tally
from tests.testapp.models import Item

from .plans import ANYWHERE, COMMITTED, NEW, Plan

FILL_PAUSE = 0.008
"""The longest pause between a load and its fill, in seconds."""
EVICTED = 0.4
"""How often an entry is dropped before it is read: a hit would never be filled again."""


def look_on(plans: Sequence[Plan], current: Any, stop: Any, number: int) -> Tally:
    """Read the row that is written now, and those before it, until told to stop."""
    rng = random.Random(f"onlooker {number}")
    look = Look(plans)

    def pause(loaded: hooks.Loaded) -> None:
        if rng.random() < 0.7:
            time.sleep(rng.uniform(0, FILL_PAUSE))

    with hooks.listening(before_fill=pause):
        while not stop.is_set():
            at = current.value
            if rng.random() < 0.3:
                at = max(0, at - rng.randint(1, 5))
            if rng.random() < EVICTED:
                look.evict(plans[at])
            look.at(plans[at], rng.choice(look.ways(plans[at])))
    for outcome, count in metrics.snapshot().items():
        look.tally.count(outcome, count)
    connection.close()
    return look.tally


class Look:
    """Reads rows through the cache, and compares with what is committed.

    Args:
        plans: what may happen to the rows.
    """

    def __init__(self, plans: Sequence[Plan]) -> None:
        self.tally = Tally()
        self._by_pk = {plan.pk: plan for plan in plans}
        self._witness = connection.copy()
        self._rows = rows_of(Item)

    def close(self) -> None:
        """Close the connection that reads past the cache."""
        self._witness.close()

    def at(self, plan: Plan, read: Callable[[Plan], Item | None] | None = None) -> int:
        """Read once, and count the faults. Returns the state that the read has shown."""
        read = read or self.ways(plan)[0]
        noted = self.committed(plan)
        item = read(plan)
        seen = plan.state(None if item is None else item.stock)
        self.tally.count("reads")
        self.tally.count("reads of the new state", seen == NEW)
        words = f"{read.__name__} of {plan}: {seen}, but {noted} was committed"
        if seen < noted:
            self._fault("stale", plan, words)
        if seen == NEW and plan.point not in (COMMITTED, ANYWHERE):
            self._fault("dirty", plan, words)
        return seen

    def _fault(self, name: str, plan: Plan, words: str) -> None:
        self.tally.fault(name, words)
        self.tally.count(f"faults of row {plan.pk}")

    def committed(self, plan: Plan) -> int:
        """The committed state of a row, read past the cache."""
        column, value = ("slug", plan.slug) if plan.slug else ("id", plan.pk)
        with self._witness.cursor() as cursor:
            cursor.execute(f"SELECT stock FROM testapp_item WHERE {column} = %s", [value])
            found = cursor.fetchone()
        return plan.state(found[0] if found else None)

    def key(self, plan: Plan) -> bytes:
        """The entry that a read of the row goes to."""
        if plan.slug:
            return keys.lookup(self._rows.family, ["slug"], [plan.slug])
        return keys.row(self._rows.family, plan.pk)

    def evict(self, plan: Plan) -> None:
        """Drop the entry, as a server that is short of memory would."""
        self._rows.store.drop([self.key(plan), keys.row(self._rows.family, plan.pk)])

    def ways(self, plan: Plan) -> Sequence[Callable[[Plan], Item | None]]:
        """The ways to read a row."""
        return (_by_slug,) if plan.slug else (_by_pk, _first, _in_bulk, _filtered)


def _by_slug(plan: Plan) -> Item | None:
    return _none_if_absent(lambda: Item.objects.get(slug=plan.slug))


def _by_pk(plan: Plan) -> Item | None:
    return _none_if_absent(lambda: Item.objects.get(pk=plan.pk))


def _first(plan: Plan) -> Item | None:
    return Item.objects.filter(pk=plan.pk).first()


def _in_bulk(plan: Plan) -> Item | None:
    return Item.objects.in_bulk([plan.pk, plan.pk - 1]).get(plan.pk)


def _filtered(plan: Plan) -> Item | None:
    return next(iter(Item.objects.filter(pk__in=[plan.pk])), None)


def _none_if_absent(read: Callable[[], Item]) -> Item | None:
    try:
        return read()
    except Item.DoesNotExist:
        return None
