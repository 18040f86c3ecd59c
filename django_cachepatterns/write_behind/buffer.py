"""A write-behind buffer: what all kinds have in common."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from itertools import chain
from typing import Any, Generic, TypeVar

from django.db import connections, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model

from .. import conf, metrics
from ..exceptions import PolicyError, StoreUnavailable
from ..invalidation import touched, versions
from ..keys import BufferKeys
from ..stores import RedisBuffers, buffers_of
from ..stores.buffers import FULL, Limits, Waiting
from ..transactions import state, write_log
from ..transactions.callbacks import after_testcase
from . import emptied, ledger, problems
from .draining import drain_at_exit
from .reports import Flushed
from .sending import Given, sent
from .troubles import LOGGED

Change = TypeVar("Change")

FLUSH_EVERY = 5.0
BATCH_ROWS = 20_000
MAX_PENDING = 1_000_000
FEW_ROWS = 200
"""Rows whose cached lists are told apart by the values of `indexes`; more, and all are touched."""


class Buffer(ABC, Generic[Change]):
    """Changes of a model's rows that wait in the buffer server for a flush.

    Args:
        name: its name, of its own among all buffers of the project.
        flush_every: seconds between flushes, a number or a timedelta.
        batch_rows: rows of a batch, which is one transaction of the database.
        max_pending: rows that may wait; 0: any number.
        when_full: what is done with more than that: `database` writes at once, `raise` raises
            `BufferFull`.
        strict: whether each operation has an id, so that it is sent again where no reply came.

    Nothing is refused here, so that a mistake is a system check and not a traceback at import.
    """

    kind = "Buffer"

    def __init__(
        self,
        name: str,
        *,
        flush_every: float | timedelta = FLUSH_EVERY,
        batch_rows: int = BATCH_ROWS,
        max_pending: int = MAX_PENDING,
        when_full: str = "database",
        strict: bool = False,
    ) -> None:
        if isinstance(flush_every, timedelta):
            flush_every = flush_every.total_seconds()
        self.name = name
        self.flush_every = flush_every
        self.batch_rows, self.max_pending = batch_rows, max_pending
        self.when_full, self.strict = when_full, strict
        self.limits = Limits(_digits(batch_rows), _digits(max_pending))

    def __repr__(self) -> str:
        return f"<{self.kind} {self.name}>"

    @property
    @abstractmethod
    def model(self) -> type[Model]:
        """The model whose table is written."""

    @abstractmethod
    def columns(self) -> Sequence[str]:
        """The attnames of the columns that are written."""

    @abstractmethod
    def parse(self, raw: Mapping[bytes, bytes]) -> dict[Any, Change]:
        """What a batch holds, by primary key."""

    @abstractmethod
    def apply(self, connection: BaseDatabaseWrapper, changes: Mapping[Any, Change]) -> int:
        """Write changes, in the order of primary keys. Returns how many rows there were."""

    @abstractmethod
    def to_text(self, change: Change) -> str:
        """A change as a dead letter keeps it."""

    @abstractmethod
    def from_text(self, text: str) -> Change:
        """A change that a dead letter kept."""

    def signature(self) -> str:
        """What it writes: two buffers of one name must agree in it."""
        return f"{self.kind} of {self.model._meta.label}: {', '.join(self.columns())}"

    def problems(self) -> list[problems.Problem]:
        """What is wrong with it, for the system checks."""
        return list(problems.of(self))

    @property
    def alias(self) -> str:
        """The database that it is flushed to."""
        return router.db_for_write(self.model)

    def keys(self) -> BufferKeys:
        """Its keys, of the current tenant."""
        return self.keys_in(conf.config())

    def keys_in(self, config: conf.Config) -> BufferKeys:
        """The same, by settings that were just read."""
        space = config.key_space()
        made: BufferKeys | None = config.memo.get((self.name, space.root))
        if made is None:
            made = config.remember((self.name, space.root), lambda: space.buffer(self.name.lower()))
        return made

    def server(self) -> RedisBuffers:
        """Where it lives. Raises `PolicyError` where that cannot be."""
        return buffers_of(conf.config())

    def backlog(self) -> list[Waiting]:
        """The batches that wait, oldest first, those that were applied a moment ago left out.

        Raises `StoreUnavailable`.
        """
        found = self.server().backlog(self.keys())
        done = ledger.applied(self.alias, [each.batch for each in found])
        return [each for each in found if each.batch not in done]

    def flush(self) -> Flushed:
        """Write what waits to the database, of the current tenant.

        What could not be done is in the result, and in the log: nothing is lost, and a later flush
        goes on.
        """
        from .flushing import flush_buffer

        return LOGGED.hear(self.name, flush_buffer(self))

    def touched(self, pks: Sequence[Any], alias: str) -> Iterable[bytes]:
        """The cache entries that writing rows touches. Ask in the transaction that writes them."""
        if len(pks) <= FEW_ROWS:
            values = versions.of_written(self.model, pks, alias)
        else:
            values = versions.of_any_value(self.model, alias)
        return chain(touched.by_keys(self.model, pks, alias), values)

    def landed(self, changes: Mapping[Any, Change], counts: Flushed) -> None:
        """A batch is in the database, and still in the queue: for what else depends on its rows.

        Args:
            counts: what came of it; no batch, where another flusher had applied it before.
        """

    def after_flush(self) -> None:
        """A flush is over. Not called where it has failed."""

    def refused(self, alias: str, changes: Mapping[Any, Change]) -> None:
        """Changes were refused; dead letters of them are written next, in the open transaction."""

    def rewritten(self, pks: Sequence[Any]) -> None:
        """Rows were written in the open transaction by another way than the flush of a batch."""

    def write_now(self, changes: Mapping[Any, Change]) -> int:
        """Write changes to the database at once, around the buffer. Returns how many rows."""
        alias = self.alias
        with transaction.atomic(using=alias):
            write_log(alias).begin(self.touched(list(changes), alias))
            found = self.apply(connections[alias], changes)
        metrics.count(self.name, "direct", len(changes))
        if found < len(changes):
            metrics.count(self.name, "dropped", len(changes) - found)
        return found

    def _send(
        self,
        script: str,
        arguments: Sequence[bytes],
        changes: Callable[[], Mapping[Any, Change]],
        *,
        strict: bool | None = None,
        operation: str | None = None,
        part: int = 0,
        is_new: bool = False,
        more_keys: Sequence[bytes] = (),
    ) -> int | None:
        """Have a script write into the buffer, or write to the database where that cannot be.

        Returns what the script answered, `None` where it could not be asked.

        Args:
            changes: what it writes, for the database.
            strict: as the buffer's, for this once.
            operation: an id of the caller's own.
            part, is_new: of that operation, see `Given`.

        Raises `BufferFull`, `OutcomeUnknown`, and what the database does.
        """
        drain_at_exit(self)
        if "django.test.testcases" in sys.modules:
            self._follow_testcase()
        given = Given(self.strict if strict is None else strict, operation, part, is_new)
        outcome = sent(self, script, arguments, given, more_keys)
        if outcome is None or outcome == FULL:
            self._write_around(changes(), full=outcome == FULL)
        return outcome

    def _write_around(self, changes: Mapping[Any, Change], *, full: bool) -> None:
        """Write to the database what could not be sent, because the buffer is full or away."""
        self.write_now(changes)

    def _follow_testcase(self) -> None:
        """In a `TestCase`, what it has counted goes when it rolls its rows back; in others, when
        they empty the database.
        """
        connection = connections[self.alias]
        if connection.in_atomic_block and state.in_testcase(connection):
            keys = self.keys()
            after_testcase(connection, ("buffer", keys.root), lambda: self.forget(keys))
        else:
            emptied.follow(self)

    def forget(self, keys: BufferKeys) -> None:
        """Drop all that waits under some keys, for tests. A server that is away has nothing."""
        with suppress(StoreUnavailable, PolicyError):
            self.server().forget(keys)


def _digits(number: Any) -> bytes:
    try:
        return b"%d" % number
    except TypeError:
        return b"0"  # A system check says so.
