"""One connection to the server for each thread, kept from command to command.

A pool hands a connection out and takes it back for every command, which costs more than the
command. Here a thread keeps its own; the pool only makes connections, re-makes them after a
fork, and takes them back when the thread ends.
"""

from __future__ import annotations

from typing import Any

from redis.connection import ConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from .. import entry


class Channel:
    """One thread's connection.

    Args:
        pool: where the connection comes from.

    `call` and `call_many` raise redis-py's errors. A reply is never left unread on a connection
    that is used again: an exception at any point (a signal's too) drops the connection.
    """

    __slots__ = ("__weakref__", "_busy", "_connection", "_pool", "epoch")

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool
        self._connection: Any = None
        self._busy = False
        self.epoch = entry.NO_EPOCH

    def call(self, packed: bytes) -> Any:
        """Send one packed command and return its reply."""
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

    def close(self) -> None:
        """Give the connection back to the pool."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._pool.release(connection)

    def _call_anew(self, packed: bytes, count: int, *, keep_errors: bool = False) -> list[Any]:
        if self._busy:
            # In the middle of a command of this same thread: a signal handler, a finaliser.
            connection, _ = _opened(self._pool)
            try:
                return _exchange(connection, packed, count, keep_errors=keep_errors)
            finally:
                self._pool.release(connection)
        self._connection, self.epoch = _opened(self._pool)
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
        self._busy = False
        if connection is not None:
            connection.disconnect()
            self._pool.release(connection)


def _exchange(connection: Any, packed: bytes, count: int, *, keep_errors: bool) -> list[Any]:
    connection.send_packed_command((packed,))
    replies: list[Any] = []
    for _ in range(count):
        try:
            replies.append(connection.read_response())
        except ResponseError as error:
            if not keep_errors:
                raise
            replies.append(error)
    return replies


def _opened(pool: ConnectionPool) -> tuple[Any, bytes]:
    """A connection and the epoch of the server at its other end."""
    connection: Any = pool.get_connection()
    try:
        connection.send_command("INFO", "server")
        return connection, _epoch_of(connection.read_response())
    except ResponseError:
        # A user without the right to ask. Old entries after a failover are then told by nothing.
        return connection, entry.NO_EPOCH
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
