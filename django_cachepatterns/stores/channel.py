"""One connection to the server for each thread, kept from command to command.

A pool hands a connection out and takes it back for every command, which costs more than the
command. Here a thread keeps its own; the pool only makes connections, re-makes them after a
fork, and takes them back when the thread ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from redis.connection import ConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

from .. import entry

Done = Callable[[Any], object]
"""Told the reply of a posted command, or the error that came in its place."""

MOST_OWED = 100
"""Replies that may be left unread: few enough that none of them blocks the server."""


class Channel:
    """One thread's connection.

    Args:
        pool: where the connection comes from.
        greeting: packed commands that each new connection begins with (scripts to load).

    `call` and `call_many` raise redis-py's errors. A reply is never left unread on a connection
    that is used again: an exception at any point (a signal's too) drops the connection.
    """

    __slots__ = ("__weakref__", "_busy", "_connection", "_greeting", "_owed", "_pool", "epoch")

    def __init__(self, pool: ConnectionPool, greeting: Sequence[bytes] = ()) -> None:
        self._pool = pool
        self._greeting = tuple(greeting)
        self._connection: Any = None
        self._busy = False
        self._owed: list[Done] = []
        self.epoch = entry.NO_EPOCH

    def call(self, packed: bytes) -> Any:
        """Send one packed command and return its reply."""
        if self._owed:
            self.settle()
        connection = self._connection
        if connection is None or self._busy:
            return self._call_anew(packed, 1)[0]
        self._busy = True
        try:
            connection.send_packed_command((packed,))
            reply = connection.read_response()
        except ResponseError:
            self._busy = False
            raise
        except RedisConnectionError:
            # A server may close a connection that was idle: one new connection, no more.
            self._discard()
            return self._call_anew(packed, 1)[0]
        except BaseException:
            self._discard()
            raise
        self._busy = False
        return reply

    def call_many(self, packed: bytes, count: int) -> list[Any]:
        """Send several commands at once; a refused one gives its `ResponseError` as the reply."""
        if self._owed:
            self.settle()
        connection = self._connection
        if connection is None or self._busy:
            return self._call_anew(packed, count, keep_errors=True)
        self._busy = True
        try:
            replies = _exchange(connection, packed, count, keep_errors=True)
        except RedisConnectionError:
            self._discard()
            return self._call_anew(packed, count, keep_errors=True)
        except BaseException:
            self._discard()
            raise
        self._busy = False
        return replies

    def post(self, packed: bytes, done: Done) -> None:
        """Send one command and read its reply before the next command, not now.

        For what nobody has to wait for. The server carries it out before anything that this
        thread sends later.
        """
        if len(self._owed) >= MOST_OWED:
            self.settle()
        connection = self._connection
        if connection is None or self._busy:
            done(self._call_anew(packed, 1, keep_errors=True)[0])
            return
        self._busy = True
        try:
            connection.send_packed_command((packed,))
        except RedisConnectionError:
            self._discard()
            done(self._call_anew(packed, 1, keep_errors=True)[0])
            return
        except BaseException:
            self._discard()
            raise
        self._owed.append(done)
        self._busy = False

    def settle(self) -> None:
        """Read the replies of posted commands."""
        if self._busy:
            return
        owed, self._owed = self._owed, []
        replies: list[Any] = []
        self._busy = True
        try:
            for _ in owed:
                replies.append(_reply(self._connection))
        except RedisError as error:
            self._discard()
            replies += [error] * (len(owed) - len(replies))
        except BaseException:
            self._discard()
            raise
        self._busy = False
        for done, reply in zip(owed, replies, strict=True):
            done(reply)

    def close(self) -> None:
        """Give the connection back to the pool."""
        connection, self._connection = self._connection, None
        owed, self._owed = self._owed, []
        if connection is not None:
            if owed:
                connection.disconnect()
            self._pool.release(connection)

    def _call_anew(self, packed: bytes, count: int, *, keep_errors: bool = False) -> list[Any]:
        if self._busy:
            # In the middle of a command of this same thread: a signal handler, a finaliser.
            connection, _ = _opened(self._pool, self._greeting)
            try:
                return _exchange(connection, packed, count, keep_errors=keep_errors)
            finally:
                self._pool.release(connection)
        self._connection, self.epoch = _opened(self._pool, self._greeting)
        self._busy = True
        try:
            replies = _exchange(self._connection, packed, count, keep_errors=keep_errors)
        except ResponseError:
            self._busy = False
            raise
        except BaseException:
            self._discard()
            raise
        self._busy = False
        return replies

    def _discard(self) -> None:
        connection, self._connection = self._connection, None
        owed, self._owed = self._owed, []
        self._busy = False
        if connection is not None:
            connection.disconnect()
            self._pool.release(connection)
        for done in owed:
            done(RedisConnectionError("The connection was dropped before the reply was read."))


def _exchange(connection: Any, packed: bytes, count: int, *, keep_errors: bool) -> list[Any]:
    connection.send_packed_command((packed,))
    if not keep_errors:
        return [connection.read_response() for _ in range(count)]
    return [_reply(connection) for _ in range(count)]


def _reply(connection: Any) -> Any:
    """The next reply, with an error that the server gave as a value."""
    try:
        return connection.read_response()
    except ResponseError as error:
        return error


def _opened(pool: ConnectionPool, greeting: Sequence[bytes]) -> tuple[Any, bytes]:
    """A connection and the epoch of the server at its other end."""
    connection: Any = pool.get_connection()
    try:
        connection.send_packed_command((b"*2\r\n$4\r\nINFO\r\n$6\r\nserver\r\n", *greeting))
        # Without the right to ask: old entries after a failover are then told by nothing.
        epoch = _epoch_of(_reply(connection))
        for _ in greeting:
            _reply(connection)
        return connection, epoch
    except BaseException:
        connection.disconnect()
        pool.release(connection)
        raise


def _epoch_of(info: Any) -> bytes:
    text = info if isinstance(info, bytes) else str(info).encode()
    for line in text.splitlines():
        name, _, value = line.partition(b":")
        if name == b"run_id":
            return bytes.fromhex(value.decode()[:16].ljust(16, "0"))
    return entry.NO_EPOCH
