"""The write log of a database connection: which entries it has marked, and until when.

Django tells when a transaction commits, but not when it is rolled back. What it does do, on every
kind of rollback, is drop the `on_commit` callbacks that were registered inside. So the callback
registered here is an object that only Django refers to: when it is called, the transaction has
committed; when it is dropped without a call, it was rolled back. Either way the write is over.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from .. import conf
from . import delivery, state
from .callbacks import register, undo_with_testcase
from .noting import invalidated
from .watch import Watch
from .window import Keys, Level, Window


class _OpenWrites(threading.local):
    """How many connections of this thread have marks: one glance for the hit path."""

    count = 0


open_writes = _OpenWrites()

Late = tuple[Callable[[Any, list[Any]], Iterable[bytes]], Any, Any]
_Queued = tuple[Level | None, list[bytes], Late | None]


class WriteLog:
    """What one database connection is writing.

    Args:
        connection: Django's connection wrapper.
    """

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self._connection = weakref.ref(connection)
        self._marked: dict[bytes, Level] = {}
        self._levels: list[Level] = []
        self._windows: list[Window] = []
        self._queue: list[_Queued] = []
        self._unsettled = False
        self.pid = os.getpid()
        # At the front: `connection.execute_wrapper()` takes the last one off when its block ends.
        connection.execute_wrappers.insert(0, Watch(self))

    def wrote(self, key: bytes) -> bool:
        """Whether this connection has a write under way to an entry."""
        return key in self._marked

    def open(
        self, keys: Keys, owner: Any = None, late: Keys | None = None, stands: bool = False
    ) -> Window:
        """Announce a write. `close()` the window when it is done.

        Args:
            keys: gives what it touches.
            owner: the instance that is written.
            late: gives what else it touches, asked in the transaction of the statement.
            stands: whether a statement that fails leaves it as it is, see `Window`.

        What it touches as it stands is sent to the store at once, while Django makes the
        statement; `flush()` looks again, and waits.
        """
        self._close_abandoned()
        window = Window(keys, owner, late, stands)
        self._windows.append(window)
        fresh: dict[Level, list[bytes]] = {}
        self._add(keys(), window, fresh)
        self._announce(fresh)
        return window

    def window_of(self, owner: Any) -> Window | None:
        """The innermost window of an instance."""
        return next((each for each in reversed(self._windows) if each.is_of(owner)), None)

    def close(self, window: Window) -> None:
        """The announced write is done. In autocommit that ends it, else the transaction does."""
        if window in self._windows:
            self._windows.remove(window)
        if window.level is not None:
            self._end_known([window.level], committed=True)

    def queue(self, keys: Iterable[bytes], late: Late | None = None) -> None:
        """Have keys marked before the next writing statement of this transaction.

        For many small announcements (a cascade's rows): they become one round trip.

        Args:
            keys: what the write touches.
            late: a function, its first argument and one item, which is called with that argument
                and all such items right before the statement, for what else the write touches.
        """
        connection = self._connection()
        transactional = connection is not None and state.in_transaction(connection)
        # Of the savepoint that queues them: the statement that has them marked may be one of an
        # inner savepoint, a receiver's, whose rollback must not end them.
        self._queue.append((self._level(None) if transactional else None, list(keys), late))

    def flush(self) -> None:
        """Mark what was announced and queued."""
        fresh: dict[Level, list[bytes]] = {}
        self._close_abandoned()
        queued, self._queue = self._queue, []
        for level, keys, _ in queued:
            self._add(keys, None, fresh, level)
        for (level, function, argument), items in _batches(queued).items():
            self._add(function(argument, items), None, fresh, level)
        for window in list(self._windows):
            self._add(window.keys(), window, fresh)
            if window.late is not None:
                self._add(window.late(), window, fresh)
        self._begin(fresh)
        self.settle_marks()

    def begin(self, keys: Iterable[bytes], window: Window | None = None) -> None:
        """Mark entries now, for the rest of the transaction.

        Args:
            window: the write that they belong to; in autocommit they end with it.
        """
        fresh: dict[Level, list[bytes]] = {}
        self._add(keys, window, fresh)
        self._begin(fresh)

    def begin_soon(self, keys: Iterable[bytes]) -> None:
        """Mark entries while the next statement runs, and no later than `settle_marks()`.

        For a bulk statement, which takes as long as the marks do. Call that before the commit.
        """
        fresh: dict[Level, list[bytes]] = {}
        self._add(keys, None, fresh)
        self._announce(fresh)

    def settle_marks(self) -> None:
        """Wait for marks that were sent and not waited for."""
        if self._unsettled:
            self._unsettled = False
            delivery.settle()

    def finish(self) -> None:
        """End every write: the transaction is over."""
        self._queue.clear()
        self._end([level for level in self._levels if level.savepoints is not None], committed=True)

    def lift(self) -> None:
        """End what autocommit statements have marked: a statement failed.

        Windows stay announced, because whoever opened them may go on and write after all.
        """
        connection = self._connection()
        if connection is None or not state.in_transaction(connection):
            standing = {id(window.level) for window in self._windows if window.stands}
            self._end_known([level for level in self._autocommitted() if id(level) not in standing])

    def leave_to_lapse(self) -> None:
        """Forget what autocommit statements have marked: nobody knows whether they ran."""
        self._forget(self._autocommitted())

    def _autocommitted(self) -> list[Level]:
        """The marks of statements outside of a transaction."""
        return [level for level in self._levels if level.savepoints is None]

    def settle(self) -> bool:
        """In a `TestCase`, whose transaction never commits, end what a block left marked."""
        connection = self._connection()
        if connection is None or not state.in_testcase(connection):
            return False
        if state.in_transaction(connection) or not self._marked:
            return False
        self.finish()
        return True

    def is_uncommitted(self) -> bool:
        """Whether an open transaction has marked anything."""
        connection = self._connection()
        if connection is None or not state.in_transaction(connection):
            return False  # In a `TestCase`, what a block has left.
        return any(level.savepoints is not None for level in self._levels)

    def has_marks(self) -> bool:
        """Whether anything is marked."""
        return bool(self._marked)

    def has_announcements(self) -> bool:
        """Whether a writing statement must wait for marks."""
        return bool(self._windows or self._queue)

    def _add(
        self,
        keys: Iterable[bytes],
        window: Window | None,
        fresh: dict[Level, list[bytes]],
        level: Level | None = None,
    ) -> None:
        """Take note of keys; those that have to be marked are added to `fresh`."""
        self._end_what_is_over()
        new = dict.fromkeys(keys)
        if self._marked:
            self._renew(new, fresh)
            new = {key: None for key in new if key not in self._marked}
        if not new:
            return
        level = level or self._level(window)
        if not self._marked:
            open_writes.count += 1
        level.keys += new
        self._marked.update(dict.fromkeys(new, level))
        fresh.setdefault(level, []).extend(new)

    def _renew(self, keys: Iterable[bytes], fresh: dict[Level, list[bytes]]) -> None:
        """Mark again what was marked so long ago that the mark may lapse, or has."""
        oldest = time.monotonic() - conf.config().mark_ttl / 2000
        for key in keys:
            level = self._marked.get(key)
            if level is not None and level.marked_at < oldest:
                fresh.setdefault(level, []).append(key)
        for level in fresh:
            # From now on all of its keys, so that none is taken for renewed that was not.
            fresh[level] = list(level.keys)
            level.marked_at = time.monotonic()

    def _end_what_is_over(self) -> None:
        """End levels whose callback Django has let go of, but somebody else still holds.

        An exception that is kept holds the frame that held the callbacks; so their being dropped
        may come late, when the next transaction is under way.
        """
        connection = self._connection()
        levels = [level for level in self._levels if level.callback is not None]
        if not levels or connection is None:
            return
        standing = {id(each[1]) for each in connection.run_on_commit}
        over = [
            level
            for level in levels
            if level.callback is None or id(level.callback()) not in standing
        ]
        if over:
            self._end_known(over)

    def _level(self, window: Window | None) -> Level:
        connection = self._connection()
        assert connection is not None
        if not state.in_transaction(connection):
            if window is not None and window.level is not None:
                return window.level
            level = Level(None)
            if window is not None:
                window.level = level
            self._levels.append(level)
            return level
        savepoints = tuple(connection.savepoint_ids)
        for level in self._levels:
            if level.savepoints == savepoints:
                return level
        level = Level(savepoints)
        self._levels.append(level)
        self._watch(connection, level)
        return level

    def _watch(self, connection: BaseDatabaseWrapper, level: Level) -> None:
        callback = _End(self)
        level.callback = weakref.ref(callback, lambda _: self._dropped(level))
        register(connection, callback)

    def _dropped(self, level: Level) -> None:
        if os.getpid() != self.pid:
            return  # A forked child has a copy of the list; the transaction is its parent's.
        self._queue = [each for each in self._queue if each[0] is not level]
        self._end_known([level])

    def _end_known(self, levels: list[Level], *, committed: bool = False) -> None:
        connection = self._connection()
        if connection is not None and state.outcome_unknown(connection):
            self._forget(levels)  # The marks lapse by themselves.
        else:
            self._end(levels, committed=committed)

    def _begin(self, fresh: dict[Level, list[bytes]]) -> None:
        for level, keys in fresh.items():
            try:
                delivery.begin(keys, level.writer)
            except BaseException:
                # Interrupted: they may not be marked, and must be if they are written after all.
                for key in keys:
                    self._marked.pop(key, None)
                raise

    def _announce(self, fresh: dict[Level, list[bytes]]) -> None:
        for level, keys in fresh.items():
            delivery.announce(keys, level.writer)
            self._unsettled = True

    def _close_abandoned(self) -> None:
        for window in [each for each in self._windows if each.abandoned()]:
            self.close(window)

    def _end(self, levels: list[Level], *, committed: bool = False) -> None:
        ended = [(level.writer, level.keys) for level in levels if level.keys]
        self._forget(levels)
        over: list[bytes] = []
        # The last one first. Each is done whatever a hook raises at another, and that goes up then.
        with ExitStack() as steps:
            steps.callback(_tell, over, committed)
            for writer, keys in reversed(ended):
                steps.callback(self._end_one, keys, writer, committed, over)
                steps.callback(delivery.tell, keys)

    def _end_one(
        self, keys: list[bytes], writer: bytes, committed: bool, over: list[bytes]
    ) -> None:
        try:
            over += delivery.end(keys, writer, committed=committed)
        finally:  # What cannot be stored again raises, and is read again all the same.
            undo_with_testcase(self._connection(), keys.copy, now=not committed)

    def _forget(self, levels: list[Level]) -> None:
        before = bool(self._marked)
        ended = set(map(id, levels))
        self._levels = [level for level in self._levels if id(level) not in ended]
        if not self._levels:
            self._marked.clear()  # Of many keys that is quicker.
        for level in levels:
            for key in level.keys if self._levels else ():
                self._marked.pop(key, None)
            level.keys = []
        for window in self._windows:
            if window.level is not None and id(window.level) in ended:
                window.level = None
        if before and not self._marked:
            open_writes.count -= 1


def _tell(over: list[bytes], committed: bool) -> None:
    if over:
        invalidated(over, "commit" if committed else "rollback")


def _batches(queued: Sequence[_Queued]) -> dict[tuple[Level | None, Any, Any], list[Any]]:
    """The items of late functions, put together so that each is called once."""
    batches: dict[tuple[Level | None, Any, Any], list[Any]] = {}
    for level, _, late in queued:
        if late is not None:
            function, argument, item = late
            batches.setdefault((level, function, argument), []).append(item)
    return batches


class _End:
    """The `on_commit` callback of one level."""

    __slots__ = ("__qualname__", "__weakref__", "log")

    def __init__(self, log: WriteLog) -> None:
        self.log = weakref.ref(log)
        self.__qualname__ = "django_cachepatterns.transactions"  # Django 5.2 logs failures by it.

    def __call__(self) -> None:
        log = self.log()
        if log is not None:
            log.finish()


_logs: weakref.WeakKeyDictionary[BaseDatabaseWrapper, WriteLog] = weakref.WeakKeyDictionary()


def write_log(alias: str) -> WriteLog:
    """The write log of this thread's connection to a database."""
    connection = connections[alias]
    log = _logs.get(connection)
    if log is None or log.pid != os.getpid():
        log = _logs[connection] = WriteLog(connection)
    return log


def wrote(alias: str, key: bytes) -> bool:
    """Whether this thread has a write under way to an entry."""
    if not open_writes.count:
        return False
    log = _logs.get(connections[alias])
    return log is not None and log.wrote(key)


def uncommitted() -> bool:
    """Whether this thread has written in a transaction that is still open, on any database.

    What it reads may be its own then: nothing of it may be shown to others.
    """
    if not open_writes.count:
        return False
    logs = map(_logs.get, connections.all(initialized_only=True))
    return any(log is not None and log.is_uncommitted() for log in logs)


def settle_all() -> None:
    """`settle()` for every database."""
    if open_writes.count:
        for connection in connections.all(initialized_only=True):
            settle(connection.alias)


def settle(alias: str) -> bool:
    """In a `TestCase`, end what a block left marked: its commit never comes. See `WriteLog`."""
    if not open_writes.count:
        return False
    log = _logs.get(connections[alias])
    return log is not None and log.settle()


@contextmanager
def writing(alias: str, keys: Keys, stands: bool = False) -> Iterator[WriteLog]:
    """Announce a write for the length of a block, or of the transaction that it is in.

    Args:
        stands: whether statements that fail in it leave it as it is.
    """
    log = write_log(alias)
    window = log.open(keys, stands=stands)
    try:
        yield log
    finally:
        log.close(window)
