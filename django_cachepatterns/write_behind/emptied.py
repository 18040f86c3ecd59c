"""Tests that empty the database at their end: what they have counted goes with its rows.

A `TransactionTestCase` does so by the command `flush`, and primary keys come again in the next run
of the tests: what waits would be counted for other rows. Outside of tests nothing is dropped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.apps import AppConfig
from django.core import mail
from django.db.models import signals

from ..keys import BufferKeys

if TYPE_CHECKING:
    from .buffer import Buffer

_counted: dict[tuple[str, bytes], tuple[Buffer[Any], BufferKeys]] = {}
"""Buffers and their keys, by their names and the roots of their keys."""


def follow(buffer: Buffer[Any]) -> None:
    """Have what is counted in a buffer go when its database is emptied, in a run of tests."""
    keys = buffer.keys()
    if (buffer.name, keys.root) not in _counted and _is_test_run():
        signals.post_migrate.connect(_after_flush, weak=False, dispatch_uid=__name__)
        _counted[buffer.name, keys.root] = buffer, keys


def _after_flush(sender: AppConfig, using: str, plan: Any = None, **kwargs: Any) -> None:
    if plan is not None or not _is_test_run():
        return  # A migration empties nothing.
    for name, (buffer, keys) in list(_counted.items()):
        if buffer.model._meta.app_label == sender.label and buffer.alias == using:
            del _counted[name]
            buffer.forget(keys)


def _is_test_run() -> bool:
    """Whether `setup_test_environment()` was called, as Django's runner and pytest-django do."""
    return hasattr(mail, "outbox")
