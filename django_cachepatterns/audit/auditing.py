"""Auditing: entries are compared with the database, under the protocol's own rules.

An entry is wrong where a reader would be served it, and it is not what the database has committed.
One that is being written or loaded, or is a miss for readers, is not. What looks wrong at a first
glance is looked at again, and then confirmed (see `confirming`): busy writers are never accused.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from django.db import ProgrammingError, connections

from .. import conf, metrics
from ..clock import SYSTEM_CLOCK, Clock
from ..exceptions import CachePatternsError, CodecError
from ..inspection import names
from ..inspection.families import HEAD_SIZE, family_of, function_of
from ..inspection.names import Name
from ..log_events import event
from ..stores import RedisInspector, inspector_of
from ..transactions import settle_all
from ..transactions.state import in_transaction
from . import keeping, outcomes
from .checkers import (
    UNKNOWN,
    Checker,
    LoaderChecker,
    Unloadable,
    checker_of,
    function_checker,
)
from .choosing import Target, labels_of
from .comparing import differences, is_same
from .confirming import confirmed
from .looks import Asked, Seen, look
from .report import DIFFERS, EXISTS, GONE, MOST, AuditReport, Difference, Finding
from .tenants import Tenants, UnknownTenant
from .walking import Kind, Walk, batches

logger = logging.getLogger("django_cachepatterns")

Progress = Callable[[int, int], object]
"""Told, after each batch, how many entries were compared so far, and how many of them are wrong."""

COMPARED = frozenset({names.ROW, names.LOOKUP, names.VALUE})
"""Kinds of entries of which a sample is taken."""
MOST_LOGGED = 100
"""Findings of one audit that are logged one by one."""
_ABSENT: Any = object()


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
        self._tenants = Tenants()
        self._skipped: Counter[str] = Counter()
        self._checked: Counter[str] = Counter()
        self._wrong: Counter[str] = Counter()
        self._findings: list[Finding] = []
        self._healed = self._allowed = 0
        self._accused: set[str] = set()

    def run(self, sample: int | None = None) -> AuditReport:
        """Audit, keep the report, and return it."""
        settle_all()
        started, began = time.time(), self._clock.monotonic()
        start = b"0" if sample is None else keeping.cursor(self._inspector)
        walk = Walk(self._inspector, self._prefix, self._labels, start)
        for kind, some in batches(_enough(walk, sample)):
            self._batch(kind, some)
            self._told(began)
        if self._wrong.total() > MOST_LOGGED:
            _log_rest(self._wrong.total() - MOST_LOGGED)
        report = AuditReport(
            started,
            self._clock.monotonic() - began,
            walk.looked_at,
            self._checked.total(),
            self._wrong.total(),
            tuple(self._findings),
            self._healed,
            self._allowed,
            dict(self._skipped),
            {name: (number, self._wrong[name]) for name, number in self._checked.items()},
            sample,
            walk.is_complete and self._labels is None,
        )
        if sample is not None:
            keeping.keep_cursor(walk.cursor, self._inspector)
        keeping.keep(report, self._inspector)
        return report

    def _told(self, began: float) -> None:
        checked = self._checked.total()
        if self._progress is not None:
            self._progress(checked, self._wrong.total())
        if self._rate:
            early = checked / self._rate - (self._clock.monotonic() - began)
            if early > 0:
                self._clock.sleep(early)

    def _batch(self, kind: Kind, some: Sequence[Name]) -> None:
        try:
            with self._tenants.entered(kind.tenant, some[0].root):
                for checker, names_ in self._checkers(kind, some):
                    if isinstance(checker, str):
                        self._skipped[checker] += len(names_)
                    else:
                        self._compare(checker, names_)
        except UnknownTenant:
            self._skipped[outcomes.NO_TENANT] += len(some)

    def _checkers(
        self, kind: Kind, some: Sequence[Name]
    ) -> Iterable[tuple[Checker | str, Sequence[Name]]]:
        if kind.kind != names.FUNCTION or not self._loaders:
            return [(checker_of(some[0], self._loaders), some)]
        keys = [each.key.encode("utf-8", "surrogateescape") for each in some]
        by_function: dict[Any, list[Name]] = {}
        starts = self._inspector.starts_of(keys, HEAD_SIZE)
        for each, start in zip(some, starts, strict=True):
            by_function.setdefault(function_of(start), []).append(each)
        return [
            (outcomes.NOT_READ if function is None else function_checker(function), own)
            for function, own in by_function.items()
        ]

    def _compare(self, checker: Checker, some: Sequence[Name]) -> None:
        asked = [Asked(name, checker.asked(name)) for name in some]
        if isinstance(checker, LoaderChecker):
            asked = self._known(checker, asked)
        seen, why = look(self._inspector.store, checker.source, asked)
        self._skipped.update(why.values())
        chosen: dict[Asked, Seen] = {}
        for each, what in seen.items():
            settled = checker.settled(each, what)
            if isinstance(settled, str):
                self._skipped[settled] += 1
            else:
                chosen[settled] = what
        try:
            suspects = self._suspects(checker, chosen)
            for each in suspects:
                self._suspected(checker, each)
        except Unloadable as error:
            self._skipped[str(error)] += len(chosen)
        except ProgrammingError as error:
            extra = event("audit_failed", family=some[0].label, error=str(error).strip())
            logger.warning("Cannot audit %s: %s", some[0].label, error, extra=extra)
            self._skipped[outcomes.DATABASE] += len(chosen)

    def _known(self, checker: LoaderChecker, asked: Sequence[Asked]) -> list[Asked]:
        known = [each for each in asked if each.asked is not UNKNOWN]
        if len(known) < len(asked):
            self._skipped[checker.unknown] += len(asked) - len(known)
        return known

    def _suspects(self, checker: Checker, chosen: dict[Asked, Seen]) -> list[Asked]:
        """Those that differ, and were the same before and after the database was read."""
        loaded = checker.load(list(chosen))
        family = ""
        suspects = []
        for each, seen in chosen.items():
            family = family or self._family(each, seen)
            try:
                problem = _problem(checker, seen, loaded.get(each, _ABSENT))
            except CodecError:
                self._skipped[outcomes.DAMAGED] += 1
                continue
            self._checked[family] += 1
            if problem is not None:
                suspects.append(each)
        if not suspects:
            return []
        again = look(self._inspector.store, checker.source, suspects)[0]
        same = [each for each in suspects if again.get(each) == chosen[each]]
        for each in suspects:
            if each not in same:
                self._checked[family] -= 1
                self._skipped[outcomes.CHANGED] += 1
        return same

    def _suspected(self, checker: Checker, asked: Asked) -> None:
        if checker.ages:
            self._allowed += 1
            return
        last: list[Any] = [_ABSENT]

        def differs(seen: Seen) -> bool:
            last[0] = checker.load([asked]).get(asked, _ABSENT)
            try:
                return _problem(checker, seen, last[0]) is not None
            except CodecError:
                return False

        source = checker.source
        seen, healed = confirmed(self._inspector, source, asked, differs, self._heal)
        if seen is not None:
            self._found(checker, asked, seen, last[0], healed)

    def _found(self, checker: Checker, asked: Asked, seen: Seen, loaded: Any, healed: bool) -> None:
        name, family = asked.name, self._family(asked, seen)
        if name.key in self._accused:
            return  # SCAN may show a key twice.
        differ = _differences(checker, seen, loaded)
        problem = _problem(checker, seen, loaded) or DIFFERS
        found = Finding(name.key, family, name.kind, problem, time.time(), differ, healed)
        self._wrong[family] += 1
        self._healed += healed
        metrics.count(family, "finding")
        if len(self._findings) < MOST:
            self._findings.append(found)
            self._accused.add(name.key)
        if self._wrong.total() <= MOST_LOGGED:
            _log(found)

    def _family(self, asked: Asked, seen: Seen) -> str:
        return family_of(asked.name, seen.data)


def _enough(walk: Walk, sample: int | None) -> Iterator[list[Name]]:
    """The steps of a walk until there are as many entries as a sample needs. Whole steps: what is
    left of one would not be seen by the next sample, either."""
    left = sample
    for step in walk.steps() if sample is None else walk.steps(max(10, min(1000, sample // 4))):
        yield step
        if left is not None:
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


def _problem(checker: Checker, seen: Seen, loaded: Any) -> str | None:
    """What is wrong with what readers are served. Raises `CodecError` where they are served
    nothing, because it cannot be decoded."""
    if seen.payload is None:
        return None if loaded is _ABSENT else EXISTS
    if loaded is _ABSENT:
        checker.source.decode(seen.payload)
        return GONE
    return None if is_same(checker.source, seen.payload, loaded) else DIFFERS


def _differences(checker: Checker, seen: Seen, loaded: Any) -> tuple[Difference, ...]:
    if seen.payload is None or loaded is _ABSENT:
        return ()
    return differences(checker.source, seen.payload, loaded)


def _log(found: Finding) -> None:
    logger.error(
        "The cache entry %s is wrong: %s%s.",
        found.key,
        found.problem,
        " (deleted)" if found.is_healed else "",
        extra=event(
            "audit_finding",
            key=found.key,
            family=found.family,
            problem=found.problem,
            columns=list(found.columns),
            healed=found.is_healed,
        ),
    )


def _log_rest(number: int) -> None:
    extra = event("audit_findings", count=number)
    logger.error("%d more cache entries are wrong; see the report.", number, extra=extra)
