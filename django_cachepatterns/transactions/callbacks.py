"""Callbacks that say how a transaction ended: called at its commit, dropped at its rollback."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable, Iterable
from typing import Any

from ..keys import absences
from . import delivery, state


def register(connection: Any, callback: Callable[[], None]) -> None:
    """Add an `on_commit` callback of the current savepoint level."""
    # Not `transaction.on_commit()`: under manual transaction management that refuses, while the
    # list itself works there, too.
    connection.run_on_commit.append((set(connection.savepoint_ids), callback, True))


class _Undo:
    """A callback that is never called: its being dropped says that a test was rolled back."""

    __slots__ = ("__weakref__", "of")

    def __init__(self, of: Hashable) -> None:
        self.of = of

    def __call__(self) -> None: ...


_undone: set[weakref.ref[_Undo]] = set()


def after_testcase(connection: Any, of: Hashable, undo: Callable[[], object]) -> None:
    """Have something done when a `TestCase` rolls back what was written in it.

    Args:
        of: what it is for; it is done once for each, however often it is asked for.
    """
    if any(isinstance(each[1], _Undo) and each[1].of == of for each in connection.run_on_commit):
        return
    _when_dropped(connection, of, undo)


def undo_with_testcase(
    connection: Any, keys: Callable[[], Iterable[bytes]], now: bool = False
) -> None:
    """In a `TestCase`, entries of rows that it wrote must go when it rolls them back.

    Args:
        now: whether it has rolled them back.
    """
    if connection is None or not state.in_testcase(connection):
        return
    found = list(keys())
    # A row that is there again may be what is remembered as absent.
    found += {absences(name[: name.rfind(b":") + 1]) for name in found}
    if now:
        delivery.drop(found)
    else:
        _when_dropped(connection, None, lambda: delivery.drop(found))


def _when_dropped(connection: Any, of: Hashable, undo: Callable[[], object]) -> None:
    def dropped(reference: weakref.ref[_Undo]) -> None:
        _undone.discard(reference)
        undo()

    callback = _Undo(of)
    _undone.add(weakref.ref(callback, dropped))
    register(connection, callback)
