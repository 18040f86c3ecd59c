"""A lane of flushers, one after another: forked from a process that is all set up."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

from django.db import connections

from django_cachepatterns import conf
from django_cachepatterns.stores import store_of
from django_cachepatterns.write_behind import flushing
from tests.acceptance.killed.nursery import forked
from tests.testapp.models import Page

from . import sabotage
from .chronicle import KILLED, Chronicle
from .flusher import Flusher
from .ground import keep_quiet
from .plans import ANYWHERE, FLUSHER, Plan

CLAIM_TTL = 1
"""Milliseconds. A claim that lapses at once keeps nobody away from a batch that another is at."""
PATIENCE = 120.0
"""Seconds that a flusher may live."""


class Lane:
    """Forks one flusher after another.

    Args:
        chronicle: what the flushers tell.
        pipe: to who kills servers.
        rest: seconds between two flushes.
    """

    def __init__(self, chronicle: Chronicle, pipe: Connection, rest: float) -> None:
        self._chronicle, self._pipe, self._rest = chronicle, pipe, rest

    def ends_as_planned(self, plan: Plan) -> bool:
        """Have a flusher live as planned. Returns whether it has come to the end that it should."""
        end = forked(lambda: self._live(plan), PATIENCE)
        if plan.target != FLUSHER:
            return (end.signal, end.code) == (0, 0)
        if plan.point == ANYWHERE and end.signal == signal.SIGALRM:
            self._chronicle.tell(KILLED, words=ANYWHERE)
            return True
        return end.signal == signal.SIGKILL

    def _live(self, plan: Plan) -> None:
        flusher = Flusher(self._chronicle, self._pipe, plan, self._rest)
        flusher.flush_until(flusher.has_recovered)
        os._exit(0)


def serve(
    plans: Sequence[Plan],
    chronicle: Chronicle,
    pipe: Connection,
    rest: float,
    missing: str | None,
    done: Any,
    stop: Any,
) -> list[Plan]:
    """Fork a flusher for each plan, and then flush until told to stop.

    Returns the plans of those that have not come to the end that they should.

    Args:
        pipe: to who kills servers.
        rest: seconds between two flushes.
        missing: the safeguard that is taken away.
        done: an event that is set after the last kill.
        stop: an event that ends it.
    """
    _prepare(missing)
    chronicle.open()
    lane = Lane(chronicle, pipe, rest)
    others = [plan for plan in plans if not lane.ends_as_planned(plan)]
    done.set()
    Flusher(chronicle, rest=rest).flush_until(stop.is_set)
    return others


def _prepare(missing: str | None) -> None:
    """Have everything imported; and no connection left that children would share."""
    keep_quiet()
    flushing.CLAIM_TTL = CLAIM_TTL
    if missing is not None:
        sabotage.SABOTAGES[missing]()
    list(Page.objects.filter(pk=0))
    connections.close_all()
    store_of(conf.config()).close()
