"""A lane of flushers, one after another: forked from a process that is all set up."""

from __future__ import annotations

import signal
from collections.abc import Sequence
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
from .plans import ANYWHERE, Plan

CLAIM_TTL = 1
"""Milliseconds. A claim that lapses at once keeps nobody away from a batch that another is at."""


def serve(
    plans: Sequence[Plan], chronicle: Chronicle, missing: str | None, done: Any, stop: Any
) -> list[Plan]:
    """Fork a flusher for each plan, and then one that nobody kills. Returns who was not killed.

    Args:
        missing: the safeguard that is taken away.
        done: an event that is set after the last kill.
        stop: an event that ends the last flusher.
    """
    _prepare(chronicle, missing)
    survivors = [plan for plan in plans if not _is_killed(plan, chronicle)]
    done.set()
    Flusher(chronicle).flush_until(stop.is_set)
    return survivors


def _prepare(chronicle: Chronicle, missing: str | None) -> None:
    """Have everything imported; and no connection left that children would share."""
    flushing.CLAIM_TTL = CLAIM_TTL
    if missing is not None:
        sabotage.SABOTAGES[missing]()
    chronicle.open()
    list(Page.objects.filter(pk=0))
    connections.close_all()
    store_of(conf.config()).close()


def _is_killed(plan: Plan, chronicle: Chronicle) -> bool:
    end = forked(lambda: Flusher(chronicle, plan).flush_until(lambda: False))
    if plan.point == ANYWHERE and end.signal == signal.SIGALRM:
        chronicle.tell(KILLED, words=ANYWHERE)
        return True
    return end.signal == signal.SIGKILL
