"""Auditing: entries are compared with the database, under the protocol's own rules.

An entry is wrong where a reader would be served it, and it is not what the database has committed.
One that is being written or loaded, or is a miss for readers, is not. What looks wrong at a first
glance is looked at again, and then confirmed (see `confirming`): busy writers are never accused.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from django.db import connections

from .. import conf
from ..clock import SYSTEM_CLOCK, Clock
from ..exceptions import CachePatternsError
from ..inspection import names
from ..inspection.families import HEAD_SIZE, function_of
from ..inspection.names import Name
from ..stores import RedisInspector, inspector_of
from ..transactions import settle_all
from ..transactions.state import in_transaction
from . import keeping, outcomes
from .checkers import Checker, checker_of, function_checker
from .choosing import Target, labels_of
from .comparison import Comparison
from .report import AuditReport
from .tally import Tally
from .tenants import Tenants, UnknownTenant
from .walking import BATCH, Kind, Walk, batches

Progress = Callable[[int, int], object]
"""Told, after each batch, how many entries were compared so far, and how many of them are wrong."""

COMPARED = frozenset({names.ROW, names.LOOKUP, names.VALUE})
"""Kinds of entries of which a sample is taken."""


def audit(
    families: Iterable[Target] | None = None,
    sample: int | None = None,
    heal: bool = False,
    progress: Progress | None = None,
    rate: float | None = None,
    loaders: bool = False,
) -> AuditReport:
    """Compare cached rows, lookups and written-through values with the database, of all tenants.

    No more than a batch of entries is held at a time. What was found is logged, counted as
    `finding` and kept for `last()`.

    Args:
        families: models, labels of models or apps, or names of values; `None`: all.
        sample: about how many entries to compare; the next sample goes on where this one ends, so
            that in time all are compared. `None`: all.
        heal: delete what is wrong, so that it is loaded anew.
        progress: told how far it is.
        rate: entries per second, at most; `None`: as many as it can.
        loaders: call cached functions and read-through loaders again, too, and compare what they
            give. They must give the same for the same state of the database.

    Raises `StoreUnavailable` where the cache server is away, `PolicyError` where the settings name
    none or a family is not known, and `CachePatternsError` in an open transaction.
    """
    _refuse_transactions()
    return Auditor(families, heal, progress, rate, loaders).run(sample)


class Auditor:
    """One audit.

    Args:
        families: as of `audit()`.
        heal: whether to delete what is wrong.
        progress: told how far it is.
        rate: entries per second; `None`: as many as it can.
        loaders: whether to call functions and read-through loaders again.
        clock: the seam for tests of the rate.
    """

    def __init__(
        self,
        families: Iterable[Target] | None = None,
        heal: bool = False,
        progress: Progress | None = None,
        rate: float | None = None,
        loaders: bool = False,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        config = conf.config()
        self._prefix = config.values["KEY_PREFIX"]
        self._labels = None if families is None else labels_of(families)
        self._heal, self._progress, self._rate, self._clock = heal, progress, rate, clock
        self._loaders = loaders
        self._inspector: RedisInspector = inspector_of(config)
        self._tenants, self._tally = Tenants(), Tally()

    def run(self, sample: int | None = None) -> AuditReport:
        """Audit, keep the report, and return it."""
        settle_all()
        started, began = time.time(), self._clock.monotonic()
        start = b"0" if sample is None else keeping.cursor(self._inspector)
        walk = Walk(self._inspector, self._prefix, self._labels, start)
        size = BATCH if self._rate is None else max(1, min(BATCH, int(self._rate)))
        for kind, some in batches(_enough(walk, sample), size):
            self._compare(kind, some)
            self._told(began)
        if sample is not None:
            keeping.keep_cursor(walk.cursor, self._inspector)
        seconds = self._clock.monotonic() - began
        is_complete = walk.is_complete and self._labels is None
        report = self._tally.report(started, seconds, walk.looked_at, sample, is_complete)
        keeping.keep(report, self._inspector)
        return report

    def _told(self, began: float) -> None:
        checked = self._tally.checked
        if self._progress is not None:
            self._progress(checked, self._tally.wrong)
        if self._rate:
            early = checked / self._rate - (self._clock.monotonic() - began)
            if early > 0:
                self._clock.sleep(early)

    def _compare(self, kind: Kind, some: Sequence[Name]) -> None:
        try:
            with self._tenants.entered(kind.tenant, some[0].root):
                for checker, own in self._checkers(kind, some):
                    if isinstance(checker, str):
                        self._tally.skip(checker, len(own))
                        continue
                    Comparison(checker, self._inspector, self._tally, self._heal).compare(own)
        except UnknownTenant:
            self._tally.skip(outcomes.NO_TENANT, len(some))

    def _checkers(
        self, kind: Kind, some: Sequence[Name]
    ) -> Iterable[tuple[Checker | str, Sequence[Name]]]:
        """What compares a batch: of functions, each has its own."""
        if kind.kind != names.FUNCTION or not self._loaders:
            return [(checker_of(some[0], self._loaders), some)]
        by_function: dict[Any, list[Name]] = {}
        starts = self._inspector.starts_of([each.raw for each in some], HEAD_SIZE)
        for each, start in zip(some, starts, strict=True):
            by_function.setdefault(function_of(start), []).append(each)
        return [
            (outcomes.NOT_READ if function is None else function_checker(function), own)
            for function, own in by_function.items()
        ]


def _enough(walk: Walk, sample: int | None) -> Iterator[list[Name]]:
    """The steps of a walk until there are as many entries as a sample needs. Whole steps: what is
    left of one would not be seen by the next sample, either."""
    if sample is None:
        yield from walk.steps()
        return
    left = sample
    for step in walk.steps(max(10, min(1000, sample // 4))):
        yield step
        left -= sum(name.kind in COMPARED for name in step)
        if left <= 0:
            return


def _refuse_transactions() -> None:
    for connection in connections.all(initialized_only=True):
        if in_transaction(connection):
            raise CachePatternsError(
                f"A transaction is open on {connection.alias!r}: it may read what others do not "
                "see yet, or see no more. Audit outside of it."
            )
