"""`manage.py retry_dead_letters`: changes that the database refused, tried again."""

from __future__ import annotations

from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterable, Sequence
from textwrap import indent
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, InterfaceError

from ...exceptions import CachePatternsError
from ...write_behind.dead_letters import Outcome, retry, waiting
from ...write_behind.records import DeadLetter
from ...write_behind.troubles import reason_of


class Command(BaseCommand):
    """Lists or retries dead letters. Exits with 1 where one is refused still."""

    help = "Writes changes that the database has refused once more, after their cause is mended."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("names", nargs="*", metavar="name", help="buffers; default: all")
        parser.add_argument("--list", action="store_true", help="show them, and retry nothing")

    def handle(self, *args: Any, names: Sequence[str], list: bool, **options: Any) -> None:
        """Retry. Raises `CommandError`."""
        try:
            letters = [letter for found in waiting(names) for letter in found.iterator()]
        except CachePatternsError as error:
            raise CommandError(str(error)) from error
        except (DatabaseError, InterfaceError) as error:
            raise CommandError(f"Dead letters cannot be read: {reason_of(error)}") from error
        if not letters:
            self.stdout.write("There are no dead letters.")
        elif list:
            self._list(letters)
        else:
            self._retry(letters)

    def _list(self, letters: Iterable[DeadLetter]) -> None:
        for letter in letters:
            self.stdout.write(
                f"{letter.refused_at:%Y-%m-%d %H:%M:%S %Z} {_name(letter)}: {letter.payload}\n"
                + indent(f"{_tries(letter.attempts)}, {letter.reason}", "    ")
            )

    def _retry(self, letters: Sequence[DeadLetter]) -> None:
        counts: Counter[Outcome] = Counter()
        failed = 0
        for letter in letters:
            try:
                outcome, reason = retry(letter)
            except (CachePatternsError, DatabaseError, InterfaceError) as error:
                failed += 1
                self.stderr.write(f"{_name(letter)}: {error}")
                continue
            counts[outcome] += 1
            self.stdout.write(f"{_name(letter)}: {outcome.value}{reason and f': {reason}'}")
        self.stdout.write(", ".join(f"{counts[each]} {each.value}" for each in Outcome))
        failed += counts[Outcome.REFUSED]
        if failed:
            raise CommandError(
                f"Not written: {failed} of {len(letters)}. What could not be written stays a dead "
                "letter; mend the cause and try again, or discard it in the admin."
            )


def _name(letter: DeadLetter) -> str:
    return f"{letter.buffer} of {letter.member}"


def _tries(number: int) -> str:
    return "refused once" if number == 1 else f"refused {number} times"
