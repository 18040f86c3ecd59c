"""What the commands share: exit codes, one JSON document, and messages beside it."""

from __future__ import annotations

import json
import os
import re
import sys
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, SystemCheckError

from .. import conf
from ..exceptions import PolicyError, StoreUnavailable

FAILED = 1
"""Exit code: something could not be done, or was found wrong."""
USAGE = 2
"""Exit code: what was asked for makes no sense; nothing was done. That of argparse, too."""

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
Report = Mapping[str, Any]
"""What a command has done, as JSON can say it."""


class Failure(CommandError):
    """Something could not be done.

    Args:
        message: the fault and the remedy.
        report: what was done nevertheless.
    """

    def __init__(self, message: str, report: Report | None = None) -> None:
        super().__init__(message, returncode=FAILED)
        self.report = report or {}


class ReportingCommand(BaseCommand):
    """A command that says what it did to people, or with `--json` to scripts.

    Then there is one JSON document on stdout, where it fails, too: with an `error` in it. Whatever
    else there is to say goes to stderr.
    """

    as_json = False
    unchecked = FAILED
    """Exit code where Django's system checks find an error, so that nothing is done."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--json", action="store_true", help="print one JSON document, and messages to stderr"
        )

    def execute(self, *args: Any, **options: Any) -> None:
        """Check, run, and report. Raises `CommandError`, with the exit code."""
        self.as_json = bool(options["json"])
        try:
            self._execute(*args, **options)
        except BrokenPipeError:
            # Who listened has gone (`| head`): it hears no more, and no traceback is for anybody.
            if sys.__stdout__ is not None:
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno())
            sys.exit(FAILED)

    def _execute(self, *args: Any, **options: Any) -> None:
        try:
            with _explained():
                super().execute(*args, **options)
        except SystemCheckError as error:
            error.returncode = self.unchecked
            self._report({"error": _COLOURS.sub("", str(error))})
            raise
        except CommandError as error:
            self._report({**getattr(error, "report", {}), "error": str(error)})
            raise
        except BrokenPipeError:
            raise
        except Exception as error:  # Nobody foresaw it: a script has it all the same.
            self._report({"error": f"{type(error).__name__}: {error}"})
            raise

    def handle(self, *args: Any, json: bool, **options: Any) -> None:
        """Run, and report that it went well."""
        self._report(self.run(**options))

    def run(self, *args: Any, **options: Any) -> Report:
        """Do it, and return what was done."""
        raise NotImplementedError

    def say(self, text: str) -> None:
        """Tell people, at once; a script hears it on stderr."""
        stream = self.stderr if self.as_json else self.stdout
        stream.write(text, self.style.NOTICE if self.as_json else None)
        stream.flush()

    def tell(self, text: str) -> None:
        """Tell people what the JSON document says by itself."""
        if not self.as_json:
            self.stdout.write(text)

    def complain(self, text: str) -> None:
        """Say what is wrong, on stderr."""
        self.stderr.write(text)
        self.stderr.flush()

    def _report(self, report: Report) -> None:
        if self.as_json:
            self.stdout.write(json.dumps(report, default=str))
        self.stdout.flush()


def usage(message: str) -> NoReturn:
    """Raise what ends a command that was asked for something that makes no sense."""
    raise CommandError(message, returncode=USAGE)


def away(error: StoreUnavailable) -> str:
    """What to say where a server does not answer."""
    values = conf.config().values
    aliases = dict.fromkeys((values["CACHE"], values["BUFFER_CACHE"]))
    return (
        f"The cache server does not answer: {str(error).rstrip('.')}. See that the server of "
        f"{' and '.join(f'CACHES[{alias!r}]' for alias in aliases)} runs, and is reached from "
        "here; then try again."
    )


@contextmanager
def _explained() -> Iterator[None]:
    """The library's errors as those of a command."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise Failure("Stopped.") from error
    except StoreUnavailable as error:
        raise Failure(away(error)) from error
    except (PolicyError, ImproperlyConfigured) as error:
        raise CommandError(str(error), returncode=USAGE) from error
