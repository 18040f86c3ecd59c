"""Flush write-behind buffers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django import forms
from django.contrib import messages

from ...write_behind import registry
from ...write_behind.flushing import flush_buffers
from ..glance import BUFFERS
from .action import Action, Said

ALL = "all buffers"


def buffer_choices() -> list[tuple[str, str]]:
    """Every buffer, by name, and all of them."""
    return [("", ALL), *((buffer.name, buffer.name) for buffer in registry.buffers())]


class BufferForm(forms.Form):
    """Which buffer."""

    name = forms.ChoiceField(label="Buffer", choices=buffer_choices, required=False)


def _will(given: dict[str, Any]) -> str:
    return f"Write what waits in {given['name'] or ALL} to the database now."


def _do(given: dict[str, Any]) -> Iterator[Said]:
    # Not with the patience of a command: a request is not to wait for another flusher.
    done = flush_buffers(registry.chosen([given["name"]] if given["name"] else []), in_pause=True)
    if done.batches or not (done.errors or done.held):
        text = f"Flushed {done.rows:,} rows in {done.batches:,} batches."
        if done.dropped:
            text += f" {done.dropped:,} changes were of rows that are not there any more."
        yield Said(messages.SUCCESS, text)
    if done.refused:
        text = f"The database refused {done.refused:,} changes; they are dead letters now."
        yield Said(messages.WARNING, text)
    for name in done.held:
        yield Said(messages.WARNING, f"Another flusher is at {name}; it writes what waits.")
    for name, reason in done.errors:
        yield Said(messages.ERROR, f"Could not flush {name}, which goes on waiting: {reason}")


FLUSH = Action(
    "flush",
    "Flush buffers",
    "Flush",
    "Write what waits in write-behind buffers to the database now, without Celery.",
    BufferForm,
    _will,
    _do,
    BUFFERS,
)
