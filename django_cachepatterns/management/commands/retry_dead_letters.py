"""`manage.py retry_dead_letters`: changes that the database refused, tried again."""

from __future__ import annotations

from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterable, Sequence
from textwrap import indent
from typing import Any

from django.db import DatabaseError, InterfaceError

from ...exceptions import CachePatternsError
from ...write_behind.dead_letters import Outcome, retry, waiting
from ...write_behind.records import DeadLetter
from ...write_behind.troubles import reason_of
from ..reporting import Failure, Report, ReportingCommand


class Command(ReportingCommand):
    """Lists or retries dead letters. Exits with 1 where one is refused still."""

    help = "Writes changes that the database has refused once more, after their cause is mended."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("names", nargs="*", metavar="name", help="buffers; default: all")
        parser.add_argument("--list", action="store_true", help="show them, and retry nothing")

    def run(self, *args: Any, names: Sequence[str], list: bool, **options: Any) -> Report:
        """Retry. Raises `CommandError`."""
        letters = _letters(names)
        if not letters:
            self.tell("There are no dead letters.")
            return {"letters": []} if list else {"letters": [], "counts": {}}
        return self._list(letters) if list else self._retry(letters)

    def _list(self, letters: Iterable[DeadLetter]) -> Report:
        for letter in letters:
            self.tell(
                f"{letter.refused_at:%Y-%m-%d %H:%M:%S %Z} {_name(letter)}: {letter.payload}\n"
                + indent(f"{_tries(letter.attempts)}, {letter.reason}", "    ")
            )
        return {"letters": [_as_json(letter) for letter in letters]}

    def _retry(self, letters: Sequence[DeadLetter]) -> Report:
        counts: Counter[str] = Counter()
        report: dict[str, Any] = {"letters": []}
        for letter in letters:
            outcome, reason = self._retried(letter)
            counts[outcome] += 1
            report["letters"].append({**_as_json(letter), "outcome": outcome, "reason": reason})
        self.tell(", ".join(f"{counts[each.value]} {each.value}" for each in Outcome))
        report["counts"] = dict(counts)
        failed = counts[FAILED] + counts[Outcome.REFUSED.value]
        if failed:
            raise Failure(
                f"Not written: {failed} of {len(letters)}. What could not be written stays a dead "
                "letter; mend the cause and try again, or discard it in the admin.",
                report,
            )
        return report

    def _retried(self, letter: DeadLetter) -> tuple[str, str]:
        """What became of a letter, and why."""
        try:
            outcome, reason = retry(letter)
        except (CachePatternsError, DatabaseError, InterfaceError) as error:
            self.complain(f"{_name(letter)}: {error}")
            return FAILED, str(error)
        self.tell(f"{_name(letter)}: {outcome.value}{reason and f': {reason}'}")
        return outcome.value, reason


FAILED = "failed"
"""Beside the outcomes: a server did not answer."""


def _letters(names: Sequence[str]) -> list[DeadLetter]:
    """The dead letters of some buffers, or of all. Raises `Failure` and the library's errors."""
    try:
        return [letter for found in waiting(names) for letter in found.iterator()]
    except (DatabaseError, InterfaceError) as error:
        raise Failure(f"Dead letters cannot be read: {reason_of(error)}") from error


def _as_json(letter: DeadLetter) -> dict[str, Any]:
    return {
        "buffer": letter.buffer,
        "member": letter.member,
        "payload": letter.payload,
        "attempts": letter.attempts,
        "refused_at": letter.refused_at.isoformat(),
        "reason": letter.reason,
    }


def _name(letter: DeadLetter) -> str:
    return f"{letter.buffer} of {letter.member}"


def _tries(number: int) -> str:
    return "refused once" if number == 1 else f"refused {number} times"
