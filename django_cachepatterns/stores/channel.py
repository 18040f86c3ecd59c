"""One connection to the server for each thread, kept from command to command.

A pool hands a connection out and takes it back for every command, which costs more than the
command. Here a thread keeps its own; the pool only makes connections, re-makes them after a
fork, and takes them back when the thread ends.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from redis.connection import ConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoPermissionError, RedisError, ResponseError

from .. import entry

IDLE = 1.0
"""Seconds after which a connection may have been closed by the server, and is looked at first."""

Done = Callable[[Any], object]
"""Told the reply of a posted command, or the error that came in its place."""

MOST_OWED = 100
"""Replies that may be left unread: few enough that none of them blocks the server."""


_INFO = b"*2\r\n$4\r\nINFO\r\n$6\r\nserver\r\n"
_INTERRUPTED = RedisError("The connection was dropped before the reply was read.")


class MaybeSent(RedisError):
    """A command was sent, and nobody knows whether it was carried out."""


class Channel:
    """One thread's connection.

    Args:
        pool: where the connection comes from.
        greeting: packed commands that each new connection begins with (scripts to load).

    `call` and `call_many` raise redis-py's errors.

    An exception may be raised between any two instructions: a signal's, a time limit's. So the
    connection is used only inside a `try` that drops it, and whatever says how many replies are
    still to come changes only while it is marked as busy. A reply that nobody has read would
    be taken for the next command's: another row than was asked for.
    """

    __slots__ = (
        "__weakref__",
        "_busy",
        "_connection",
        "_greeting",
        "_owed",
        "_pool",
        "_used_at",
        "epoch",
    )

    def __init__(self, pool: ConnectionPool, greeting: Sequence[bytes] = ()) -> None:
        self._pool = pool
        self._greeting = tuple(greeting)
        self._connection: Any = None
        self._busy = False
        self._owed: list[Done] = []
        self._used_at = 0.0
        self.epoch = entry.NO_EPOCH

    def call(self, packed: bytes) -> Any:
        """Send one packed command and return its reply."""
        if not self._busy:
            try:
                self._busy = True
                connection = self._connection
                if connection is not None and not self._owed:
                    connection.send_packed_command((packed,))
                    reply = connection.read_response()
                    self._busy = False
                    return reply
                self._busy = False
            except ResponseError:
                self._busy = False
                raise
            except RedisConnectionError:
                # A server may close a connection that was idle: one new connection, no more.
                self._discard()
            except BaseException:
                self._discard()
                raise
        (reply,) = self._call_many(packed, 1)
        if isinstance(reply, ResponseError):
            raise reply
        return reply

    def call_once(self, pack: Callable[[bytes], bytes], count: int = 1) -> list[Any]:
        """`call_many()`, but what may have been carried out is never sent again.

        For commands that count. Raises `MaybeSent` where they were sent and no reply came, any
        other error where they were surely not carried out.

        Args:
            pack: gives the packed commands, told the epoch of the server that they will reach.
        """
        if self._busy:
            return _once(self._pool, pack, count)
        self.settle()
        now = time.monotonic()
        if self._connection is not None and self._used_at < now - IDLE:
            self._drop_if_closed()
        if self._connection is None:
            self._open()
        self._used_at = now
        packed = pack(self.epoch)
        try:
            return self._exchange(packed, count)
        except RedisError as error:
            raise _maybe_sent(error) from error

    def call_many(self, packed: bytes, count: int) -> list[Any]:
        """Send several commands at once; a refused one gives its `ResponseError` as the reply."""
        return self._call_many(packed, count)

    def post(self, packed: bytes, done: Done) -> None:
        """Send one command and read its reply before the next command, not now.

        For what nobody has to wait for. The server carries it out before anything that this
        thread sends later.
        """
        if len(self._owed) >= MOST_OWED:
            self.settle()
        if self._busy or self._connection is None:
            done(self._call_many(packed, 1)[0])
            return
        try:
            self._busy = True
            self._owed.append(done)
            self._connection.send_packed_command((packed,))
            self._busy = False
        except RedisConnectionError as error:
            self._owed.remove(done)
            self._discard(error)
            done(self._call_many(packed, 1)[0])
        except BaseException:
            self._discard()
            raise

    def settle(self) -> None:
        """Read the replies of posted commands."""
        if self._busy or not self._owed:
            return
        try:
            self._busy = True
            owed = list(self._owed)
            replies = [_reply(self._connection) for _ in owed]
            self._owed.clear()
            self._busy = False
        except RedisError as error:
            self._discard(error)
            return
        except BaseException:
            self._discard()
            raise
        for done, reply in zip(owed, replies, strict=True):
            done(reply)

    def drop(self) -> None:
        """Use another connection from the next command on."""
        if not self._busy:
            self._discard()

    def close(self) -> None:
        """Give the connection back to the pool."""
        connection, self._connection = self._connection, None
        owed, self._owed = self._owed, []
        if connection is not None:
            if owed:
                connection.disconnect()
            self._pool.release(connection)

    def _call_many(self, packed: bytes, count: int) -> list[Any]:
        if self._busy:
            # In the middle of a command of this same thread: a signal handler, a finaliser.
            return _once(self._pool, packed, count)
        self.settle()
        if self._connection is not None:
            try:
                return self._exchange(packed, count)
            except RedisConnectionError:
                pass  # As above: dropped by now, and made anew below.
        self._open()
        return self._exchange(packed, count)

    def _open(self) -> None:
        try:
            self._busy = True
            self._connection, self.epoch = _opened(self._pool, self._greeting)
            self._busy = False
        except BaseException:
            self._discard()
            raise

    def _drop_if_closed(self) -> None:
        """A server may close a connection that was idle: nothing is sent on such a one."""
        try:
            self._busy = True
            # Nothing is owed: what can be read is the end of the connection.
            closed = self._connection.can_read(timeout=0)
            self._busy = False
        except RedisError:
            closed = True
        except BaseException:
            self._discard()
            raise
        if closed:
            self._discard()

    def _exchange(self, packed: bytes, count: int) -> list[Any]:
        try:
            self._busy = True
            replies = _exchange(self._connection, packed, count)
            self._busy = False
            return replies
        except BaseException:
            self._discard()
            raise

    def _discard(self, error: RedisError = _INTERRUPTED) -> None:
        """Drop the connection, and with it whatever was still to be read from it."""
        connection, self._connection = self._connection, None
        owed, self._owed = self._owed, []
        self._busy = False
        if connection is not None:
            connection.disconnect()
            self._pool.release(connection)
        for done in owed:
            done(error)


def _once(pool: ConnectionPool, packed: bytes | Callable[[bytes], bytes], count: int) -> list[Any]:
    """The replies to commands on a connection of their own, which goes back to the pool.

    Args:
        packed: the commands, or a function as in `Channel.call_once()`.
    """
    connection, epoch = _opened(pool, ())
    try:
        if isinstance(packed, bytes):
            return _exchange(connection, packed, count)
        commands = packed(epoch)
        try:
            return _exchange(connection, commands, count)
        except RedisError as error:
            raise _maybe_sent(error) from error
    except BaseException:
        connection.disconnect()
        raise
    finally:
        pool.release(connection)


def _maybe_sent(error: RedisError) -> MaybeSent:
    return MaybeSent(f"{type(error).__name__}: {error}")


def _taken_from(pool: ConnectionPool) -> Any:
    try:
        return pool.get_connection()
    except BaseException:
        # The pool has taken it back as it is: half opened, with replies to come.
        pool.disconnect(inuse_connections=False)
        raise


def _exchange(connection: Any, packed: bytes, count: int) -> list[Any]:
    connection.send_packed_command((packed,))
    return [_reply(connection) for _ in range(count)]


def _reply(connection: Any) -> Any:
    """The next reply, with an error that the server gave as a value."""
    try:
        return connection.read_response()
    except ResponseError as error:
        return error


def _opened(pool: ConnectionPool, greeting: Sequence[bytes]) -> tuple[Any, bytes]:
    """A connection and the epoch of the server at its other end.

    The greeting ends with an echo: a connection on which another thread was interrupted while it
    was opened may have replies to come, and is opened again.
    """
    connection = _taken_from(pool)
    try:
        for _ in range(2):
            token = entry.new_token()
            echo = b"*2\r\n$4\r\nECHO\r\n$%d\r\n%b\r\n" % (len(token), token)
            connection.send_packed_command((_INFO, *greeting, echo))
            info, *rest = [_reply(connection) for _ in range(len(greeting) + 2)]
            if rest[-1] == token or isinstance(rest[-1], NoPermissionError):
                # Without the right to ask for it, the epoch is nothing that ever changes.
                return connection, _epoch_of(info)
            connection.disconnect()
        raise RedisConnectionError("The connection does not answer what it is asked.")
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
