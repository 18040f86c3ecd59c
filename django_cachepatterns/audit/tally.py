"""What an audit has found so far."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable

from .. import metrics
from ..log_events import event, shown
from .report import MOST, AuditReport, Finding

logger = logging.getLogger("django_cachepatterns")

MOST_LOGGED = 100
"""Findings of one audit that are logged one by one."""


class Tally:
    """The numbers of one audit, and its findings."""

    def __init__(self) -> None:
        self._skipped: Counter[str] = Counter()
        self._checked: Counter[str] = Counter()
        self._wrong: Counter[str] = Counter()
        self._findings: list[Finding] = []
        self._accused: set[str] = set()
        self._healed = 0
        self.allowed = 0

    @property
    def checked(self) -> int:
        """How many entries were compared."""
        return self._checked.total()

    @property
    def wrong(self) -> int:
        """How many of them are wrong."""
        return self._wrong.total()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is wrong, up to `MOST`."""
        return tuple(self._findings)

    def add(self, other: Tally) -> None:
        """What another has found, which has logged it."""
        self._skipped.update(other._skipped)
        self._checked.update(other._checked)
        self._wrong.update(other._wrong)
        self._healed += other._healed
        self._findings += other._findings[: MOST - len(self._findings)]

    def skip(self, reason: str, number: int = 1) -> None:
        """Entries were not compared."""
        if number:
            self._skipped[reason] += number

    def skip_each(self, reasons: Iterable[str]) -> None:
        """The same of several, each for its own reason."""
        self._skipped.update(reasons)

    def check(self, family: str, number: int = 1) -> None:
        """Entries were compared."""
        if number:
            self._checked[family] += number

    def accuse(self, found: Finding) -> None:
        """An entry is wrong. Counted once: SCAN may show a key twice."""
        if found.key in self._accused:
            return
        self._wrong[found.family] += 1
        self._healed += found.is_healed
        metrics.count(found.family, "finding")
        if len(self._findings) < MOST:
            self._findings.append(found)
            self._accused.add(found.key)
        if self.wrong <= MOST_LOGGED:
            _log(found)

    def report(
        self,
        started: float,
        seconds: float,
        looked_at: int,
        sample: int | None,
        is_complete: bool,
    ) -> AuditReport:
        """All of it; see `AuditReport`."""
        if self.wrong > MOST_LOGGED:
            _log_rest(self.wrong - MOST_LOGGED)
        return AuditReport(
            started,
            seconds,
            looked_at,
            self.checked,
            self.wrong,
            self.findings,
            self._healed,
            self.allowed,
            dict(self._skipped),
            {name: (number, self._wrong[name]) for name, number in self._checked.items()},
            sample,
            is_complete,
        )


def _log(found: Finding) -> None:
    logger.error(
        "The cache entry %s is wrong: %s%s.",
        shown(found.key.encode()),
        found.problem,
        " (deleted)" if found.is_healed else "",
        extra=event(
            "audit_finding",
            key=shown(found.key.encode()),
            family=found.family,
            problem=found.problem,
            columns=list(found.columns),
            healed=found.is_healed,
        ),
    )


def _log_rest(number: int) -> None:
    extra = event("audit_findings", count=number)
    logger.error("%d more cache entries are wrong; see the report.", number, extra=extra)
