"""The store on Redis or Valkey, 7.0 and later."""

from __future__ import annotations

import os
import re
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Any, NamedTuple, TypeVar

import hiredis
from redis.connection import ConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import (
    NoPermissionError,
    NoScriptError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from .. import entry
from ..exceptions import StoreUnavailable
from ..threads import when_thread_ends
from .base import Done, Store
from .channel import Channel
from .scripts import BUFFER_NAMES, NAMES, Script, script

T = TypeVar("T")

CHUNK = 1000
"""Keys in one script call: few enough not to hold the server up, many enough to be few calls."""

SEEN = 64
"""Bytes of a useless entry that are sent to recognise it: header, and one version or so."""


class _Channels(threading.local):
    """The channel of each thread."""

    def __init__(self, pool: ConnectionPool) -> None:
        greeting = [
            _pack((b"SCRIPT", b"LOAD", script(name).source)) for name in (*NAMES, *BUFFER_NAMES)
        ]
        self.channel = channel = Channel(pool, greeting)
        self.name = entry.new_token()
        when_thread_ends(self, Channel.close, channel)


class Lot(NamedTuple):
    """Keys of one source that are to be warmed.

    Args:
        keys: of its entries.
        tags: the tags that each of them depends on.
        head: how usable entries start, see `entry.head`.
    """

    keys: Sequence[bytes]
    tags: Sequence[bytes]
    head: bytes


class RedisStore(Store):
    """Entries on one Redis or Valkey server.

    Args:
        pool: a redis-py pool with short timeouts and no retries, see `make_pool`.
    """

    supports_leases = True
    supports_marks = True

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool
        self._channels = _Channels(pool)
        _stores.add(self)

    @property
    def channel(self) -> Channel:
        """This thread's connection: what the hit path reads through."""
        return self._channels.channel

    @property
    def epoch(self) -> bytes:
        return self._channels.channel.epoch

    def get(self, key: bytes) -> bytes | None:
        try:
            data: bytes | None = self._channels.channel.call(
                b"*2\r\n$3\r\nGET\r\n$%d\r\n%b\r\n" % (len(key), key)
            )
        except ResponseError as error:
            return _entry_of(error)
        except RedisError as error:
            raise _unavailable(error) from error
        return data

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        if not keys:
            return []
        if len(keys) <= CHUNK:
            replies: list[bytes | None] = self._call(_pack((b"MGET", *keys)))
            return replies
        chunks = self._call_many([_pack((b"MGET", *chunk)) for chunk in _chunks(keys)])
        return [data for chunk in map(_replied, chunks) for data in chunk]

    def lease(
        self,
        keys: Sequence[bytes],
        lease: bytes,
        ttl: int,
        tags: Sequence[bytes] = (),
        fresh: bytes = b"",
    ) -> tuple[list[bytes | None], list[bytes]]:
        px = b"%d" % ttl
        commands = [_pack((b"SET", key, lease, b"NX", b"PX", px, b"GET")) for key in keys]
        replies = self._call_many(commands + _tags(tags, fresh))
        found = [_entry_of(reply) for reply in replies[: len(keys)]]
        # A lease of one's own: the command was sent again on a new connection.
        entries = [None if data == lease else data for data in found]
        return entries, _tag_entries(replies[len(keys) :], fresh)

    def lease_over(
        self, keys: Sequence[bytes], seen: Sequence[bytes], lease: bytes, ttl: int
    ) -> list[bytes | None]:
        over = script("lease_over")
        found = self._scripts(
            over,
            [
                ([key], [old[:SEEN], b"%d" % len(old), lease, b"%d" % ttl])
                for key, old in zip(keys, seen, strict=True)
            ],
        )
        return [None if data == lease else _entry_of(data) for data in found]

    def fill(
        self, keys: Sequence[bytes], lease: bytes, entries: Sequence[bytes], ttls: Sequence[int]
    ) -> list[bool]:
        values = [(data, b"%d" % ttl) for data, ttl in zip(entries, ttls, strict=True)]
        calls = [
            (some, [lease, *chain.from_iterable(pairs)])
            for some, pairs in zip(_chunks(keys), _chunks(values), strict=True)
        ]
        chunks = self._scripts(script("fill"), calls)
        return [reply == 1 for chunk in chunks for reply in chunk]

    def post_fill(
        self,
        keys: Sequence[bytes],
        lease: bytes,
        values: Sequence[bytes],
        done: Callable[[list[int] | StoreUnavailable], object],
    ) -> None:
        """`fill`, to be waited for by `settle()`: the next values are made meanwhile.

        Args:
            keys: few enough for one script.
            values: for each key its entry, and its lifetime as text.
            done: told 1 (stored) or 0 for each key, or the `StoreUnavailable` that came instead.
        """
        each, arguments = script("warm_fill"), [lease, *values]

        def posted(reply: Any) -> None:
            if isinstance(reply, NoScriptError | RedisConnectionError):
                try:
                    reply = self._script(each, keys, arguments)
                except StoreUnavailable as error:
                    reply = error
            done(_unavailable(reply) if isinstance(reply, RedisError) else reply)

        try:
            self._channels.channel.post(_pack_script(b"EVALSHA", each.sha, keys, arguments), posted)
        except RedisError as error:
            done(_unavailable(error))

    def lease_refresh(
        self,
        key: bytes,
        seen: bytes,
        refresh: bytes,
        tags: Sequence[bytes] = (),
        fresh: bytes = b"",
    ) -> tuple[bool, list[bytes]]:
        arguments = [seen[:SEEN], b"%d" % len(seen), refresh]
        each = script("lease_refresh")
        taken, *found = self._call_many(
            [_pack_script(b"EVALSHA", each.sha, [key], arguments), *_tags(tags, fresh)]
        )
        if isinstance(taken, NoScriptError):
            return self._lease_refresh_anew(key, arguments, tags, fresh)
        return _replied(taken) == 1, _tag_entries(found, fresh)

    def _lease_refresh_anew(
        self, key: bytes, arguments: Sequence[bytes], tags: Sequence[bytes], fresh: bytes
    ) -> tuple[bool, list[bytes]]:
        """The same on a server that does not know the script: the tags must be read after it."""
        each = script("lease_refresh")
        taken, *found = self._call_many(
            [_pack_script(b"EVAL", each.source, [key], arguments), *_tags(tags, fresh)]
        )
        return _replied(taken) == 1, _tag_entries(found, fresh)

    def warm(
        self,
        lots: Sequence[Lot],
        lease: bytes,
        ttl: int,
        fresh: bytes,
        refresh: bytes = b"",
    ) -> list[tuple[bytes, list[bytes]]]:
        """Take leases on many keys that have no usable entry, in one round trip.

        Args:
            lots: the keys.
            lease: the lease entry, the same for all keys.
            ttl: lifetime of the leases.
            fresh: the tag entry to create where there is none.
            refresh: what is put before usable values to load them anew, see
                `entry.refresh_lease`; empty: they are left alone.

        Returns, for each lot, a letter for each key as `warm.lua` says, and its tags.
        """
        found = self._scripts(
            script("warm"),
            [
                (
                    (*lot.keys, *lot.tags),
                    (lease, b"%d" % ttl, fresh, b"%d" % len(lot.keys), lot.head, refresh),
                )
                for lot in lots
            ],
        )
        return [(states, tags) for states, *tags in found]

    def wait(self, keys: Sequence[bytes], seconds: float) -> None:
        """Leave a note at each key that somebody waits, and wait for who ends its lease.

        Who does so finds the note and puts as many wake-ups into a list as there are waiters
        (see `fill.lua`). A wake-up that comes before one waits for it is not lost.
        """
        block = min(seconds, self._longest_block)
        if block <= 0:
            super().wait(keys, seconds)
            return
        notes: list[bytes] = []
        for key in keys:
            # A name, not a count: who looks ten times is to be woken once.
            notes.append(_pack((b"SADD", key + b"~waiting", self._channels.name)))
            notes.append(_pack((b"PEXPIRE", key + b"~waiting", b"1000")))
        # The note first and then another look: a lease that ends in between leaves no wake-up.
        looks = [_pack((b"GETRANGE", key, b"0", b"0")) for key in keys]
        replies = self._call_many(notes + looks)
        if any(_entry_of(reply) != b"L" for reply in replies[len(notes) :]):
            return
        names = [key + b"~wake" for key in keys]
        try:
            for reply in replies[: len(notes)]:
                if isinstance(reply, NoPermissionError):
                    raise reply
            self._channels.channel.call(_pack((b"BLPOP", *names, b"%.3f" % max(block, 0.001))))
        except NoPermissionError:
            super().wait(keys, seconds)  # Without the right to be woken, it looks again and again.
        except RedisError as error:
            raise _unavailable(error) from error

    @property
    def _longest_block(self) -> float:
        """Seconds that a command may block; 0 where the connection has not the patience for it.

        The server ends a wait up to a tenth of a second late, when its event loop comes round.
        """
        patience = float(self._pool.connection_kwargs.get("socket_timeout") or 1)
        return max(0.0, min(patience - 0.15, patience / 2))

    def install(
        self,
        keys: Sequence[bytes],
        seen: Sequence[bytes],
        writer: bytes,
        entries: Sequence[bytes],
        ttls: Sequence[int],
    ) -> list[bool]:
        calls = [
            ([key], [mark, writer, data, b"%d" % ttl])
            for key, mark, data, ttl in zip(keys, seen, entries, ttls, strict=True)
        ]
        return [reply == 1 for reply in self._scripts(script("install"), calls)]

    def release(self, keys: Sequence[bytes], lease: bytes) -> None:
        self._chunked("release", keys, [lease])

    def begin_write(self, keys: Sequence[bytes], writer: bytes, ttl: int) -> None:
        self._chunked("begin_write", keys, [writer, b"%d" % ttl])

    def end_write(self, keys: Sequence[bytes], writer: bytes) -> int:
        return self._chunked("end_write", keys, [writer])

    def post_begin_write(self, keys: Sequence[bytes], writer: bytes, ttl: int, done: Done) -> None:
        self._post("begin_write", keys, [writer, b"%d" % ttl], done)

    def post_end_write(self, keys: Sequence[bytes], writer: bytes, done: Done) -> None:
        self._post("end_write", keys, [writer], done)

    def settle(self) -> None:
        self._channels.channel.settle()

    def _post(
        self, name: str, keys: Sequence[bytes], arguments: Sequence[bytes], done: Done
    ) -> None:
        each = script(name)
        for some in _chunks(keys):
            packed = _pack_script(b"EVALSHA", each.sha, some, arguments)
            posted = partial(self._posted, name, some, arguments, done)
            try:
                self._channels.channel.post(packed, posted)
            except RedisError as error:
                done(_unavailable(error))

    def _posted(
        self, name: str, keys: Sequence[bytes], arguments: Sequence[bytes], done: Done, reply: Any
    ) -> None:
        """A reply has come; where the server did not know the script, or the connection had been
        closed, the command is sent again."""
        if isinstance(reply, NoScriptError | RedisConnectionError):
            try:
                reply = self._chunked(name, keys, arguments)
            except StoreUnavailable as error:
                reply = error
        if isinstance(reply, ReadOnlyError):
            # It has become a replica: what it serves is no longer told of writes.
            self._channels.channel.drop()
        done(_unavailable(reply) if isinstance(reply, RedisError) else reply)

    def drop(self, keys: Sequence[bytes]) -> int:
        return self._chunked("drop", keys, [])

    def drop_family(self, label: str) -> int:
        """Drop every entry of a model, of all tenants and databases, by SCAN.

        Args:
            label: what its keys have after the prefix, such as `cp:shop.product`.

        Returns how many there were. Takes time in proportion to all keys of the server.
        """
        pattern = b"*" + glob(label.encode()) + b"[:@]*"
        return sum(self.drop(found) for found in self.scan(pattern))

    def scan(self, pattern: bytes, count: int = CHUNK) -> Iterator[list[bytes]]:
        """The keys that match a pattern of the server's, some at a time; a key may come twice.

        Whatever is there from the first step to the last comes. Never KEYS, which holds the
        server up.

        Args:
            pattern: a glob, see `glob()`.
            count: keys that the server looks at in one step.
        """
        cursor = b"0"
        while True:
            cursor, found = self._call(
                _pack((b"SCAN", cursor, b"MATCH", pattern, b"COUNT", b"%d" % count))
            )
            yield found
            if int(cursor) == 0:
                return

    def run(self, each: Script, keys: Sequence[bytes], arguments: Sequence[bytes]) -> Any:
        """Run a script that does the same if it is run twice, because it may be."""
        return self._script(each, keys, arguments)

    def command(self, *arguments: bytes) -> Any:
        """The reply to a command that does the same if it is sent twice, because it may be."""
        return self._call(_pack(arguments))

    def put(self, key: bytes, data: bytes, ttl: int) -> None:
        """Store what is no entry, under no lease.

        Args:
            ttl: its lifetime in milliseconds.
        """
        self._call(_pack((b"SET", key, data, b"PX", b"%d" % ttl)))

    def close(self) -> None:
        """Close every connection."""
        self._pool.disconnect()

    def _chunked(self, name: str, keys: Sequence[bytes], arguments: Sequence[bytes]) -> int:
        return sum(self._scripts(script(name), [(some, arguments) for some in _chunks(keys)]))

    def _scripts(
        self, each: Script, calls: Sequence[tuple[Sequence[bytes], Sequence[bytes]]]
    ) -> list[Any]:
        """Run one script several times in one round trip."""
        if len(calls) == 1:
            return [self._script(each, *calls[0])]
        if not calls:
            return []
        replies = self._call_many([_pack_script(b"EVALSHA", each.sha, *call) for call in calls])
        if any(isinstance(reply, NoScriptError) for reply in replies):
            replies = self._call_many([_pack_script(b"EVAL", each.source, *call) for call in calls])
        return [_replied(reply) for reply in replies]

    def _script(self, each: Script, keys: Sequence[bytes], arguments: Sequence[bytes]) -> Any:
        try:
            return self._channels.channel.call(_pack_script(b"EVALSHA", each.sha, keys, arguments))
        except NoScriptError:
            return self._call(_pack_script(b"EVAL", each.source, keys, arguments))
        except RedisError as error:
            raise _unavailable(error) from error

    def _call(self, packed: bytes) -> Any:
        try:
            return self._channels.channel.call(packed)
        except RedisError as error:
            raise _unavailable(error) from error

    def _call_many(self, commands: Sequence[bytes]) -> list[Any]:
        if not commands:
            return []
        try:
            return self._channels.channel.call_many(b"".join(commands), len(commands))
        except RedisError as error:
            raise _unavailable(error) from error

    def _forget_connections(self) -> None:
        """A forked child must not talk on its parent's sockets."""
        self._channels = _Channels(self._pool)


_stores: weakref.WeakSet[RedisStore] = weakref.WeakSet()


def _after_fork() -> None:
    for store in list(_stores):
        store._forget_connections()


os.register_at_fork(after_in_child=_after_fork)


def glob(text: bytes) -> bytes:
    """A pattern of the server's that only this text matches."""
    return re.sub(rb"([*?\[\]\\])", rb"\\\1", text)


def _tags(tags: Sequence[bytes], fresh: bytes) -> list[bytes]:
    """Commands that read tags, and make those that are missing; they live for a day."""
    return [_pack((b"SET", tag, fresh, b"NX", b"PX", b"86400000", b"GET")) for tag in tags]


def _tag_entries(replies: Sequence[Any], fresh: bytes) -> list[bytes]:
    """What the commands of `_tags()` have answered: nothing where the tag was made."""
    return [fresh if reply is None else _entry_of(reply) or b"" for reply in replies]


def _pack(arguments: tuple[bytes, ...]) -> bytes:
    """A command in the server's protocol."""
    packed: bytes = hiredis.pack_command(arguments)  # type: ignore[arg-type]
    return packed


def _pack_script(
    command: bytes, body: bytes, keys: Sequence[bytes], arguments: Sequence[bytes]
) -> bytes:
    return _pack((command, body, b"%d" % len(keys), *keys, *arguments))


def _chunks(items: Sequence[T]) -> list[Sequence[T]]:
    return [items[at : at + CHUNK] for at in range(0, len(items), CHUNK)]


def _replied(reply: Any) -> Any:
    """A pipeline's reply, raised if it is an error."""
    if isinstance(reply, ResponseError):
        raise _unavailable(reply) from reply
    return reply


def _entry_of(reply: Any) -> bytes | None:
    """A reply as an entry: what is not a string at all reads as an empty one."""
    if isinstance(reply, ResponseError):
        if str(reply).startswith("WRONGTYPE"):
            return b""
        raise _unavailable(reply) from reply
    return reply


def _unavailable(error: RedisError) -> StoreUnavailable:
    return StoreUnavailable(f"{type(error).__name__}: {error}")
