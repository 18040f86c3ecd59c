"""A row that is written through: what was committed is read again and stored by the real code."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from django_cachepatterns.transactions import Installable, delivery

from .rows import RowWorld
from .schedules import LOADS, Actor
from .server import MARK_TTL
from .stepwise import Stepwise


class _Current(threading.local):
    """The store of the actor that has this thread."""

    store: Any


CURRENT = _Current()


@contextmanager
def delivered_stepwise() -> Iterator[None]:
    """The ends of writes are told to the store of the actor that comes to its end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delivery, "store_of", lambda config: CURRENT.store)
        yield


class WrittenWorld(RowWorld):
    """A row that is written through."""

    def add_write_through(self, version: str, *, commits: bool = True) -> None:
        """Somebody who writes the row, and has it stored when it is committed."""
        self._add_writer(self._write_through, version, commits)

    def _write_through(self, actor: Actor, version: str, commits: bool) -> None:
        writer = self.server.token(actor.name)
        CURRENT.store = store = Stepwise(actor, self)
        reader = self.reader(store, lambda: actor.do(LOADS, self.load))
        keys = [Installable(key, "row", lambda: reader) for key in self.marked[:1]]
        keys += self.marked[1:]  # type: ignore[arg-type]
        store.begin_write(keys, writer, MARK_TTL)
        if commits:
            self.commit(actor, version)
        delivery.end(keys, writer, committed=commits)
