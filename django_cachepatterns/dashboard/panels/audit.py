"""Whether entries agree with the database, as the auditor last saw it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.utils import timezone

from ... import audit
from ...audit import AuditReport, Finding
from ..glance import Glance

SHOWN = 10
"""Findings that are shown."""


def last(glance: Glance) -> dict[str, Any]:
    """The last report, and what audits have found lately; nothing where nobody has audited."""
    report: AuditReport | None = glance.ask(audit.last, None)
    nothing: list[Finding] = []
    found = glance.ask(audit.recent, nothing) if report is not None else nothing
    complete = glance.ask(audit.last_complete, None) if report is not None else None
    return {
        "report": report,
        "at": report and _moment(report.started),
        "complete": None if complete == report else complete,
        "complete_at": complete and _moment(complete.started),
        "findings": [
            (each, glance.shown(each.key), _moment(each.found_at)) for each in found[:SHOWN]
        ],
        "skipped": sorted(report.skipped.items(), key=lambda each: -each[1]) if report else [],
        "down": glance.down.get("CACHE"),
    }


def _moment(seconds: float) -> datetime:
    """In the user's time zone: templates do not see to that where USE_TZ is off."""
    return timezone.localtime(datetime.fromtimestamp(seconds, UTC))
