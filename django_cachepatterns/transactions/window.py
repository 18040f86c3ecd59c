"""Writes that were announced, and marks that end together."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterable
from typing import Any

from .. import entry

Keys = Callable[[], Iterable[bytes]]


class Level:
    """Marks that end together: those of one savepoint level, or of one autocommit statement."""

    __slots__ = ("callback", "keys", "marked_at", "savepoints", "writer")

    def __init__(self, savepoints: tuple[str | None, ...] | None) -> None:
        self.savepoints = savepoints
        # Of its own: an end that is late on a dropped connection must not take away what the
        # same transaction has marked again since.
        self.writer = entry.new_token()
        self.keys: list[bytes] = []
        self.marked_at = time.monotonic()
        self.callback: weakref.ref[Any] | None = None


class Window:
    """A write that was announced: its keys are marked right before the statement.

    `keys` is called then, and not when the write is announced, so that what a field or a later
    signal receiver puts into the instance is in. `late` is called only then, in the transaction
    of the statement: it may lock rows.

    Where it `stands`, its marks do until it is closed, whatever becomes of statements: what it
    writes may be elsewhere.
    """

    __slots__ = ("keys", "late", "level", "owner", "stands")

    def __init__(
        self, keys: Keys, owner: Any = None, late: Keys | None = None, stands: bool = False
    ) -> None:
        self.keys = keys
        self.late = late
        self.stands = stands
        self.owner = weakref.ref(owner) if owner is not None else None
        self.level: Level | None = None

    def is_of(self, owner: Any) -> bool:
        """Whether this is the window of an instance."""
        return self.owner is not None and self.owner() is owner

    def abandoned(self) -> bool:
        """Whether the instance that was being written is gone: its save failed half-way."""
        return self.owner is not None and self.owner() is None
