"""Write-behind buffers on Redis or Valkey: batches that are born, sealed, and taken out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import hiredis
from redis.exceptions import NoScriptError, OutOfMemoryError, RedisError, ResponseError

from ..exceptions import OutcomeUnknown, StoreUnavailable
from ..keys import BufferKeys
from .channel import MaybeSent
from .redis import RedisStore
from .scripts import script

LARGEST = 1000
"""Members in one call: few enough not to hold the server up."""
OPERATION_TTL = 10 * 60 * 1000
"""Milliseconds for which the id of an operation is remembered."""

MOST_FIELDS = b"1000000"
"""Members of a batch that are read in one step."""

COUNTED, REPEATED, FULL = 1, 0, -1
"""What a script that writes into a buffer answers."""


class Limits(NamedTuple):
    """How large a buffer may grow.

    Args:
        batch_rows: members of a batch.
        max_pending: members that may wait in all batches; 0: any number.
    """

    batch_rows: bytes
    max_pending: bytes


class Waiting(NamedTuple):
    """One batch that waits.

    Args:
        batch: its id, 32 hexadecimal digits.
        rows: the number of its members.
        total: the sum of what was counted in it.
        age: milliseconds since it was born.
    """

    batch: str
    rows: int
    total: int
    age: int


class RedisBuffers:
    """Buffers on the server of a store, by its connections.

    Every method raises `StoreUnavailable` where the server cannot be reached in time or refuses,
    and those that write `OutcomeUnknown` where they may have been carried out all the same.
    """

    supports_sealing = True

    def __init__(self, store: RedisStore) -> None:
        self._store = store

    @property
    def epoch(self) -> bytes:
        """Which run of the server this thread's connection was made to."""
        return self._store.epoch

    def write(
        self,
        name: str,
        keys: BufferKeys,
        limits: Limits,
        arguments: Sequence[bytes],
        operation: bytes = b"",
        more_keys: Sequence[bytes] = (),
    ) -> int:
        """Run a script that writes into the active batch.

        Args:
            name: the script's, one of `WITH_BATCHES`.
            arguments: those that follow the operation's.
            operation: an id under which it is carried out once; empty: it has none.
            more_keys: those that follow the operation's key.

        Returns `COUNTED`, `REPEATED` or `FULL`.
        """
        each = script(name)
        ttl = b"%d" % OPERATION_TTL if operation else b"0"
        number = b"%d" % (4 + len(more_keys))
        start = (number, *keys.batches, keys.operation + operation, *more_keys, keys.sealed)
        end = (*limits, ttl, *arguments)

        def by_hash(epoch: bytes) -> bytes:
            return _pack((b"EVALSHA", each.sha, *start, _new_id(), epoch, *end))

        reply = self._once(by_hash)
        if isinstance(reply, NoScriptError):
            reply = self._once(
                lambda epoch: _pack((b"EVAL", each.source, *start, _new_id(), epoch, *end))
            )
        return int(_replied(reply))

    def seal(self, keys: BufferKeys) -> tuple[bool, list[str]]:
        """Seal the active batch, where no sealed one waits already.

        Returns whether it did, and the ids of the batches that wait, oldest first.
        """
        arguments = [keys.sealed, _new_id(), b"", b"0"]
        sealed, waiting = self._run("seal", keys.batches, arguments)
        return bool(sealed), [batch.decode() for batch in waiting]

    def read(self, keys: BufferKeys, batch: str) -> Callable[[], dict[bytes, bytes]]:
        """Ask what a sealed batch holds, without waiting for it.

        Returns a function that gives it, by member; nothing where the batch was taken out.
        """
        key = keys.sealed + batch.encode()
        # One step of HSCAN, for HGETALL is a map in the newer protocol, which hiredis reads six
        # times as slowly as a list.
        answer = self._post(_pack((b"HSCAN", key, b"0", b"COUNT", MOST_FIELDS)))

        def read() -> dict[bytes, bytes]:
            cursor, flat = answer()
            # No second step: a server that was restarted in between goes through in another order.
            return _pairs(flat if int(cursor) == 0 else self._call(_pack((b"HGETALL", key))))

        return read

    def ack(self, keys: BufferKeys, batch: str) -> Callable[[], bool]:
        """Take a batch out, without waiting for it.

        Returns a function that says whether it was there.
        """
        sealed = keys.sealed + batch.encode()
        found = [keys.batches[2], sealed, sealed + b"~meta"]
        each = script("ack")
        rest = (b"%d" % len(found), *found, batch.encode())
        answer = self._post(_pack((b"EVALSHA", each.sha, *rest)))

        def acked() -> bool:
            try:
                return bool(answer())
            except NoScriptError:
                return bool(self._call(_pack((b"EVAL", each.source, *rest))))

        return acked

    def discard(self, keys: BufferKeys, columns: Sequence[bytes], rows: Sequence[bytes]) -> int:
        """Take rows out of the batches of a buffer that `put` has written.

        Args:
            columns: all that the buffer has.
            rows: keys of rows, at most `LARGEST`.

        Returns how many were taken out, once for each batch.
        """
        arguments = [keys.sealed, b"%d" % len(columns), *columns, *rows]
        return int(self._run("discard", keys.batches, arguments))

    def look(
        self, keys: BufferKeys, members: Sequence[bytes]
    ) -> Iterator[tuple[str, list[bytes | None]]]:
        """What waits for some members: for each batch, oldest first, its id and their values.

        Args:
            members: at most `LARGEST`, so that it is one moment for all of them.
        """
        for batch, *values in self._run("look", keys.batches, [keys.sealed, *members]):
            yield batch.decode(), values

    def live(
        self, keys: BufferKeys, members: Sequence[bytes], entries: Sequence[bytes]
    ) -> tuple[list[bytes | None], list[bytes | None], bytes] | None:
        """What some entries hold, what waits for as many members, and the server's epoch.

        All of one moment; `None` where a sealed batch waits, or one of an earlier run.

        Args:
            members: at most `LARGEST`.
            entries: keys of entries of the same server.
        """
        epoch = self._store.epoch
        found = self._run("live", (*keys.batches, *entries), [epoch, *members])
        if found is None or self._store.epoch != epoch:
            return None  # Or of another server than the one whose epoch was told.
        return found[: len(entries)], found[len(entries) :], epoch

    def backlog(self, keys: BufferKeys) -> list[Waiting]:
        """What waits, in batches, oldest first."""
        return [
            Waiting(batch.decode(), int(rows), int(total), int(age))
            for batch, rows, total, age in self._run("backlog", keys.batches, [keys.sealed])
        ]

    def claim(self, keys: BufferKeys, token: bytes, ttl: int, *, in_pause: bool = False) -> bool:
        """Claim the flushing of a buffer for a time, or for longer. Returns whether it is claimed.

        Args:
            ttl: milliseconds.
            in_pause: even in the pause after a failed flush.
        """
        arguments = [token, b"%d" % ttl, b"1" if in_pause else b"0"]
        return bool(self._run("claim", [keys.claim], arguments))

    def unclaim(self, keys: BufferKeys, token: bytes, pause: int = 0, longest: int = 0) -> int:
        """Give a claim up. Returns the milliseconds for which nobody will flush.

        Args:
            pause: milliseconds to wait after a first failure; 0: the flush has not failed.
            longest: the longest such wait.
        """
        arguments = [token, b"%d" % pause, b"%d" % longest]
        return int(self._run("unclaim", [keys.claim, keys.failures], arguments))

    def take_turn(self, key: bytes, ttl: int) -> bool:
        """Whether nobody has taken this turn: then it is the caller's for some milliseconds."""
        packed = _pack((b"SET", key, b"1", b"NX", b"PX", b"%d" % ttl))
        try:
            return self._store.channel.call(packed) is not None
        except OutOfMemoryError:
            return True  # What makes room must not wait for it.
        except RedisError as error:
            raise _unavailable(error) from error

    def info(self, section: str) -> dict[str, str]:
        """What the server says of itself in a section of INFO."""
        found = self._call(_pack((b"INFO", section.encode())))
        text = found if isinstance(found, bytes) else str(found).encode()
        lines = (line.partition(":") for line in text.decode().splitlines())
        return {name: value for name, colon, value in lines if colon}

    def setting(self, name: str) -> str | None:
        """A setting of the server's; `None` where it does not let itself be asked."""
        try:
            found = self._store.channel.call(_pack((b"CONFIG", b"GET", name.encode())))
        except ResponseError:
            return None
        except RedisError as error:
            raise StoreUnavailable(f"{type(error).__name__}: {error}") from error
        value = _pairs(found).get(name.encode())
        return None if value is None else value.decode()

    def add_member(self, key: bytes, member: bytes) -> None:
        """Put a member into a set."""
        self._call(_pack((b"SADD", key, member)))

    def members_of(self, key: bytes) -> list[bytes]:
        """The members of a set."""
        return list(self._call(_pack((b"SMEMBERS", key))))

    def forget(self, keys: BufferKeys) -> None:
        """Drop a buffer with all that waits in it."""
        cursor = b"0"
        pattern = b"".join(b"\\" + bytes([c]) if c in b"*?[]\\" else bytes([c]) for c in keys.root)
        while True:
            cursor, found = self._call(
                _pack((b"SCAN", cursor, b"MATCH", pattern + b"*", b"COUNT", b"1000"))
            )
            if found:
                self._call(_pack((b"UNLINK", *found)))
            if int(cursor) == 0:
                return

    def _post(self, packed: bytes) -> Callable[[], Any]:
        """Send a command; returns a function that waits for the reply."""
        replies: list[Any] = []
        try:
            self._store.channel.post(packed, replies.append)
        except RedisError as error:
            raise _unavailable(error) from error

        def answer() -> Any:
            if not replies:
                self._store.settle()
            reply = replies[0] if replies else RedisError("no reply came")
            if isinstance(reply, NoScriptError):
                raise reply
            if isinstance(reply, RedisError):
                raise _unavailable(reply) from reply
            return reply

        return answer

    def _once(self, pack: Callable[[bytes], bytes]) -> Any:
        try:
            (reply,) = self._store.channel.call_once(pack)
        except MaybeSent as error:
            raise OutcomeUnknown(f"{error}") from error
        except RedisError as error:
            raise _unavailable(error) from error
        return reply

    def _run(self, name: str, keys: Sequence[bytes], arguments: Iterable[bytes]) -> Any:
        """Run a script that may be run again."""
        each = script(name)
        rest = (b"%d" % len(keys), *keys, *arguments)
        try:
            return self._store.channel.call(_pack((b"EVALSHA", each.sha, *rest)))
        except NoScriptError:
            return self._call(_pack((b"EVAL", each.source, *rest)))
        except RedisError as error:
            raise _unavailable(error) from error

    def _call(self, packed: bytes) -> Any:
        try:
            return self._store.channel.call(packed)
        except RedisError as error:
            raise _unavailable(error) from error


def _new_id() -> bytes:
    """The id of a batch: random, because a server that comes back with old data would give the
    numbers of a sequence again. It is a UUID of version 4, for MariaDB takes no other digits."""
    digits = os.urandom(16).hex()
    return f"{digits[:12]}4{digits[13:16]}8{digits[17:]}".encode()


def _pack(arguments: tuple[bytes, ...]) -> bytes:
    packed: bytes = hiredis.pack_command(arguments)  # type: ignore[arg-type]
    return packed


def _replied(reply: Any) -> Any:
    if isinstance(reply, ResponseError):
        raise _unavailable(reply) from reply
    return reply


def _unavailable(error: RedisError) -> StoreUnavailable:
    return StoreUnavailable(f"{type(error).__name__}: {error}")


def _pairs(flat: Any) -> dict[bytes, bytes]:
    """A hash as the server tells it: a map, or a flat list in the older protocol."""
    if isinstance(flat, dict):
        return flat
    each = iter(flat)
    return dict(zip(each, each, strict=True))
