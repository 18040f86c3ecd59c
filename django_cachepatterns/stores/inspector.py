"""What is asked of a server to look inside it: for people and for the auditor, not for readers."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import Any, NamedTuple

import hiredis
from redis.exceptions import NoScriptError, RedisError, ResponseError

from ..exceptions import StoreUnavailable
from .redis import RedisStore
from .scripts import script


class Looked(NamedTuple):
    """One key, as the server has it.

    Args:
        data: the entry; `None` where there is none, or where it is not a string.
        kind: the server's word for its type: `string`, `hash`, `list`, `set`, `zset`, `none`.
        ttl: milliseconds left; `None` where it has no end.
        memory: bytes that it takes, with what it costs the server; `None` where that cannot be
            asked.
        now: milliseconds since 1970 by the server's clock, by which marks lapse.
    """

    data: bytes | None
    kind: str
    ttl: int | None
    memory: int | None
    now: int


class RedisInspector:
    """Looks into one Redis or Valkey server. Methods raise `StoreUnavailable`.

    Args:
        store: the store whose server it is; it goes through this thread's connection.
    """

    def __init__(self, store: RedisStore) -> None:
        self.store = store

    def look(self, key: bytes) -> Looked:
        """What a key holds, in one round trip."""
        data, kind, ttl, memory, time = self._many(
            (b"GET", key),
            (b"TYPE", key),
            (b"PTTL", key),
            (b"MEMORY", b"USAGE", key),
            (b"TIME",),
        )
        seconds, micros = map(int, _said(time))
        left = _said(ttl)
        return Looked(
            None if isinstance(data, ResponseError) else data,
            _text(_said(kind)),
            left if left >= 0 else None,
            memory if isinstance(memory, int) else None,
            seconds * 1000 + micros // 1000,
        )

    def keys_in_all(self) -> int:
        """How many keys the server's database has, whoever's."""
        return int(_said(self._many((b"DBSIZE",))[0]))

    def scan(self, cursor: bytes, count: int) -> tuple[bytes, list[bytes]]:
        """The next keys of a SCAN, about as many as asked for; it begins and ends with `0`."""
        (found,) = self._many((b"SCAN", cursor, b"COUNT", b"%d" % count))
        cursor, keys = _said(found)
        return bytes(cursor), list(keys)

    def scan_for(self, pattern: bytes, cursor: bytes, count: int) -> tuple[bytes, list[bytes]]:
        """The same of keys that match a pattern."""
        (found,) = self._many((b"SCAN", cursor, b"MATCH", pattern, b"COUNT", b"%d" % count))
        cursor, keys = _said(found)
        return bytes(cursor), list(keys)

    def memory_of(self, keys: Sequence[bytes]) -> list[int | None]:
        """Bytes that keys take; `None` of those that are gone, or where that cannot be asked."""
        replies = self._many(*((b"MEMORY", b"USAGE", key) for key in keys))
        return [reply if isinstance(reply, int) else None for reply in replies]

    def starts_of(self, keys: Sequence[bytes], length: int) -> list[bytes]:
        """The first bytes of entries; empty where there is no string."""
        replies = self._many(*((b"GETRANGE", key, b"0", b"%d" % (length - 1)) for key in keys))
        return [reply if isinstance(reply, bytes) else b"" for reply in replies]

    def contents(self, key: bytes, kind: str, most: int) -> tuple[int, Any]:
        """How much a hash, list, set or sorted set holds, and the first of it.

        Args:
            most: items that are read, about.
        """
        size, first = _CONTENTS[kind]
        count = b"%d" % most
        command = tuple({b"key": key, b"most": count}.get(part, part) for part in first)
        number, found = map(_said, self._many((size, key), command))
        return int(number), _SHAPES[kind](found)

    def info(self) -> dict[str, str] | None:
        """What the server says of itself; `None` where this user may not ask."""
        (found,) = self._many((b"INFO",))
        if isinstance(found, ResponseError):
            return None
        text = found if isinstance(found, bytes) else str(found).encode()
        lines = (line.partition(":") for line in text.decode().splitlines())
        return {name: value for name, colon, value in lines if colon}

    def ping(self) -> float:
        """Seconds of a round trip on an open connection: the quickest of three."""
        self._many((b"PING",))
        trips = []
        for _ in range(3):
            started = perf_counter()
            self._many((b"PING",))
            trips.append(perf_counter() - started)
        return min(trips)

    def swap(self, key: bytes, seen: bytes, put: bytes = b"") -> bool:
        """Put other bytes in the place of an entry that is still as it was seen, or delete it.

        Returns whether that was done; see `swap.lua`.
        """
        each = script("swap")
        (reply,) = self._many((b"EVALSHA", each.sha, b"1", key, seen, put))
        if isinstance(reply, NoScriptError):
            (reply,) = self._many((b"EVAL", each.source, b"1", key, seen, put))
        return bool(_said(reply) == 1)

    def keep(self, key: bytes, data: bytes, seconds: int) -> None:
        """Store what is no entry, for some seconds."""
        _said(self._many((b"SET", key, data, b"EX", b"%d" % seconds))[0])

    def prepend(self, key: bytes, items: Sequence[bytes], most: int, seconds: int) -> None:
        """Put items in front of a list, which has a most and lives for some seconds more."""
        if items:
            commands = (
                (b"LPUSH", key, *items),
                (b"LTRIM", key, b"0", b"%d" % (most - 1)),
                (b"EXPIRE", key, b"%d" % seconds),
            )
            for reply in self._many(*commands):
                _said(reply)

    def newest(self, key: bytes, most: int) -> list[bytes]:
        """The first items of a list."""
        return list(_said(self._many((b"LRANGE", key, b"0", b"%d" % (most - 1)))[0]))

    def _many(self, *commands: tuple[bytes, ...]) -> list[Any]:
        if not commands:
            return []
        packed = b"".join(map(_pack, commands))
        try:
            return self.store.channel.call_many(packed, len(commands))
        except RedisError as error:
            raise StoreUnavailable(f"{type(error).__name__}: {error}") from error


def _pairs(found: Any) -> dict[bytes, bytes]:
    flat = iter(found[1])
    return dict(zip(flat, flat, strict=True))


_CONTENTS: dict[str, tuple[bytes, tuple[bytes, ...]]] = {
    "hash": (b"HLEN", (b"HSCAN", b"key", b"0", b"COUNT", b"most")),
    "list": (b"LLEN", (b"LRANGE", b"key", b"0", b"most")),
    "set": (b"SCARD", (b"SSCAN", b"key", b"0", b"COUNT", b"most")),
    "zset": (b"ZCARD", (b"ZRANGE", b"key", b"0", b"most", b"WITHSCORES")),
}
_SHAPES: dict[str, Any] = {
    "hash": _pairs,
    "list": list,
    "set": lambda found: list(found[1]),
    "zset": lambda found: list(zip(found[::2], found[1::2], strict=True)),
}


def _pack(arguments: tuple[bytes, ...]) -> bytes:
    packed: bytes = hiredis.pack_command(arguments)  # type: ignore[arg-type]
    return packed


def _said(reply: Any) -> Any:
    """A reply, raised if it is an error."""
    if isinstance(reply, RedisError):
        raise StoreUnavailable(f"{type(reply).__name__}: {reply}") from reply
    return reply


def _text(reply: Any) -> str:
    return reply.decode() if isinstance(reply, bytes) else str(reply)
