"""Retry dead letters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any

from django.contrib import messages
from django.db import DatabaseError, InterfaceError

from ...exceptions import CachePatternsError
from ...write_behind.dead_letters import Outcome, retry, waiting
from .action import Action, Said
from .flush import ALL, BufferForm

MOST = 1000
"""Letters retried by one request; each is a transaction."""

_SAID = {
    Outcome.WRITTEN: (messages.SUCCESS, "{} dead letters are written to the database."),
    Outcome.DROPPED: (messages.WARNING, "{} were dropped: their rows are not there any more."),
    Outcome.GONE: (messages.INFO, "{} were retried or discarded by somebody else meanwhile."),
    Outcome.REFUSED: (
        messages.ERROR,
        "{} were refused again. They stay, with the reason; see Dead letters.",
    ),
}


def _will(given: dict[str, Any]) -> str:
    return f"Write the dead letters of {given['name'] or ALL} once more, at most {MOST:,} of them."


def _do(given: dict[str, Any]) -> Iterator[Said]:
    found = waiting([given["name"]] if given["name"] else [])
    letters = [letter for queryset in found for letter in queryset[:MOST]]
    counts: Counter[Outcome] = Counter()
    for letter in islice(letters, MOST):
        try:
            counts[retry(letter).outcome] += 1
        except (CachePatternsError, DatabaseError, InterfaceError) as error:
            counts[Outcome.REFUSED] += 1
            yield Said(messages.ERROR, f"Not retried, {letter}: {type(error).__name__}: {error}")
            break  # The next ones would hardly fare better.
    if not letters:
        yield Said(messages.INFO, "There are no dead letters.")
    for outcome, number in counts.items():
        level, text = _SAID[outcome]
        yield Said(level, text.format(f"{number:,}"))


RETRY = Action(
    "retry",
    "Retry dead letters",
    "Retry",
    "Write changes that the database has refused once more, after their cause is mended.",
    BufferForm,
    _will,
    _do,
)
