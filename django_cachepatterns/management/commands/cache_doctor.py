"""`manage.py cache_doctor`: what works, what does not, and what to change."""

from __future__ import annotations

from argparse import ArgumentParser
from textwrap import fill
from typing import Any

from ...diagnosis import Finding, Level, diagnose
from ..reporting import Failure, Report, ReportingCommand

_MARKS = {Level.FINE: "ok     ", Level.WARNING: "WARNING", Level.WRONG: "WRONG  "}
WIDTH = 100


class Command(ReportingCommand):
    """Diagnoses. Exits with 1 where something is wrong."""

    help = "Says what these settings and servers can and cannot do, and what to change."
    requires_system_checks = ()
    """They are part of the diagnosis."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--strict", action="store_true", help="exit with 1 for warnings, too")

    def run(self, *args: Any, strict: bool, **options: Any) -> Report:
        """Diagnose. Raises `CommandError`."""
        found = diagnose()
        for each in found:
            self._tell(each)
        counts = {level.value: sum(each.level is level for each in found) for level in Level}
        report = {"findings": [each.as_json() for each in found], "counts": counts}
        wrong, warnings = counts[Level.WRONG.value], counts[Level.WARNING.value]
        if wrong or (strict and warnings):
            raise Failure(f"Wrong: {wrong}, warnings: {warnings}. See what to do above.", report)
        self.tell(f"Nothing is wrong. Warnings: {warnings}.")
        return report

    def _tell(self, each: Finding) -> None:
        check = f" [{each.check}]" if each.check else ""
        self.tell(_wrapped(f"{_MARKS[each.level]} {each.about}: {each.text}{check}"))
        if each.remedy:
            self.tell(_wrapped(f"{' ' * 8}-> {each.remedy}"))


def _wrapped(text: str) -> str:
    indent = len(text) - len(text.lstrip())
    return fill(text, WIDTH, initial_indent="", subsequent_indent=" " * max(indent + 3, 8))
