"""`manage.py audit_cache`: does the cache say what the database says?"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any

from django.core.management.base import CommandError
from django.db import InterfaceError, OperationalError

from ...audit import AuditReport, Finding, audit
from ...exceptions import StoreUnavailable
from ..reporting import Failure, Report, ReportingCommand, away, usage

AWAY = 3
"""Exit code: a server did not answer, or a system check found an error, so that nobody knows."""
SHOWN = 20
"""Findings that are printed in full."""


class Command(ReportingCommand):
    """Audits. Exits with 1 where an entry is wrong, with 3 where that could not be found out."""

    help = (
        "Compares cached rows, absences and written-through values with the database, while the "
        "site runs. Entries that are being written are not counted."
    )

    unchecked = AWAY

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "names", nargs="*", metavar="name", help="app.Model, an app, or a WriteThrough's name"
        )
        parser.add_argument(
            "--sample",
            type=int,
            metavar="N",
            help="compare about N entries, and go on from there the next time; default: all",
        )
        parser.add_argument(
            "--rate", type=float, metavar="N", help="compare at most N entries per second"
        )
        parser.add_argument(
            "--loaders",
            action="store_true",
            help="call cached functions and read-through loaders again, too, and compare",
        )
        parser.add_argument("--heal", action="store_true", help="delete the entries that are wrong")
        parser.add_argument(
            "--hide-values", action="store_true", help="say which columns differ, and not how"
        )

    def run(
        self,
        *args: Any,
        names: Sequence[str],
        sample: int | None,
        rate: float | None,
        heal: bool,
        loaders: bool,
        hide_values: bool,
        **options: Any,
    ) -> Report:
        """Audit. Raises `CommandError`."""
        for option, value in (("--sample", sample), ("--rate", rate)):
            if value is not None and value <= 0:
                usage(f"{option} is {value:g}; it must be above 0.")
        report = self._audited(names or None, sample, heal, rate=rate, loaders=loaders)
        told = _as_json(report, hide_values)
        self._tell(report, hide_values)
        if not report.is_consistent:
            number = f"{report.found:,} of {report.checked:,} entries"
            raise Failure(f"{number} are not what the database says. {_remedy(report)}", told)
        self.tell(f"All {report.checked:,} entries that were compared are as in the database.")
        return told

    def _audited(
        self, names: Sequence[str] | None, sample: int | None, heal: bool, **options: Any
    ) -> AuditReport:
        try:
            return audit(names, sample, heal, self._progress, **options)
        except StoreUnavailable as error:
            raise CommandError(away(error), returncode=AWAY) from error
        except (OperationalError, InterfaceError) as error:
            message = f"The database does not answer: {str(error).strip()}. Try again when it does."
            raise CommandError(message, returncode=AWAY) from error

    def _progress(self, checked: int, found: int) -> None:
        if self.stderr.isatty():
            self.stderr.write(f"\r{checked:,} compared, {found:,} wrong", ending="")
            self.stderr.flush()

    def _tell(self, report: AuditReport, hide_values: bool) -> None:
        if self.stderr.isatty():
            self.stderr.write("")
        for family, (checked, found) in sorted(report.by_family.items()):
            self.tell(f"{family}: {checked:,} compared, {found:,} wrong")
        if report.allowed:
            self.tell(f"{report.allowed:,} differ and may: their policy is invalidation='ttl'.")
        for reason, number in sorted(report.skipped.items(), key=lambda pair: -pair[1]):
            self.tell(f"not compared: {number:,}, {reason}")
        for finding in report.findings[:SHOWN]:
            self.tell(_said(finding, hide_values))
        if report.found > SHOWN:
            self.tell(f"... and {report.found - SHOWN:,} more; --json has up to 1,000 of them.")


def _said(finding: Finding, hide_values: bool) -> str:
    healed = " (deleted)" if finding.is_healed else ""
    if hide_values and finding.columns:
        return f"{finding.key}: {', '.join(finding.columns)} differ{healed}"
    return f"{finding}{healed}"


def _remedy(report: AuditReport) -> str:
    if report.healed == report.found:
        return "They were deleted, and are loaded anew when they are next asked for."
    if report.healed:
        return f"{report.healed:,} were deleted; the others have changed by themselves."
    return "Find out who writes without telling the cache, and run this with --heal."


def _as_json(report: AuditReport, hide_values: bool) -> dict[str, Any]:
    told = report.as_json()
    for finding in told["findings"] if hide_values else ():
        finding["differences"] = [{"name": each["name"]} for each in finding["differences"]]
    return told
