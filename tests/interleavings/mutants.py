"""The real store with one thing about it changed.

Scripts are changed in their text, so that everything else stays as it is; a change that does not
fit the text any more says so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from django_cachepatterns.stores import RedisStore
from django_cachepatterns.stores import redis as redis_store
from django_cachepatterns.stores.scripts import Script

Change = tuple[str, str, str]
"""A script, a piece of its text, and what replaces it everywhere; an empty piece is its start."""

HAS_LEASE = "redis.pcall('GET', key) == ARGV[1]"
MAY_FILL = "redis.pcall('GETRANGE', key, 0, #ARGV[1] - 1) == ARGV[1]"
STATE = "string.sub(tostring(redis.pcall('GET', key)), 1, 1)"
MARKS = "pcall('SET', key, alone, 'PX', ARGV[2], 'GET')"
JOINS = "if sub(old, 1, 1) == 'W' then join(key, old) end"
OTHERS = "if #others > 0 then"
DELETES = "if #gone > 0 then call('DEL', unpack(gone)) end"
DOES_NOTHING = "do return #KEYS end\n"
ONLY_DELETES = "for _, key in ipairs(KEYS) do redis.call('DEL', key) end do return #KEYS end\n"

UNSAFE: dict[str, list[Change]] = {
    "a fill needs no token": [("fill", MAY_FILL, "true")],
    "a fill takes any lease for its own": [("fill", MAY_FILL, f"{STATE} == 'L'")],
    "a fill only respects marks": [("fill", MAY_FILL, f"{STATE} ~= 'W'")],
    "begin merely deletes": [("begin_write", "", ONLY_DELETES)],
    "there is no begin": [("begin_write", "", DOES_NOTHING)],
    "begin forgets other writers": [("begin_write", JOINS, "")],
    "end forgets other writers": [("end_write", OTHERS, "if false then")],
    "a release needs no token": [("release", MAY_FILL, "true")],
    "a drop drops marks": [("drop", "if mark and", "if false and")],
    "a lease over respects nothing": [("lease_over", "if not same then return old end", "")],
}

BOTH_REFRESHES = f"string.sub(ARGV[1], 1, 1) == 'R' and {STATE} == 'R'"

UNSAFE_FOR_REFRESHES: dict[str, list[Change]] = {
    "a fill needs no token": UNSAFE["a fill needs no token"],
    "a fill takes any refresh for its own": [
        ("fill", MAY_FILL, f"({BOTH_REFRESHES} or {MAY_FILL})")
    ],
    "a fill only respects marks": UNSAFE["a fill only respects marks"],
    "begin leaves refreshes alone": [
        ("begin_write", MARKS, f"pcall('GETRANGE', key, 0, 0) == 'R' and 'R' or {MARKS}")
    ],
    "a refresh is begun over whatever stands there": [
        ("lease_refresh", " or #old ~= tonumber(ARGV[2])", ""),
        ("lease_refresh", "if string.sub(old, 1, #ARGV[1]) ~= ARGV[1] then return 0 end", ""),
    ],
}

UNSAFE_FOR_INSTALLS: dict[str, list[Change]] = {
    "an install does not compare the mark": [("install", "old == ARGV[1]", "true")],
    "an install only respects other writers": [
        ("install", "old == ARGV[1]", "type(old) ~= 'string' or #old <= 30")
    ],
    "an end leaves the mark as it was before": [
        ("end_write", "deadline + 1)", "deadline)"),
    ],
}

UNENDING: dict[str, list[Change]] = {
    "there is no end": [("end_write", "", DOES_NOTHING)],
    "end does not delete": [("end_write", DELETES, "")],
    "end keeps lapsed writers": [
        ("end_write", "if left > 0 then", "if true then left = math.max(left, 1000)")
    ],
    "marks have no deadline": [
        ("begin_write", ", 'PX', ARGV[2]", ""),
        ("begin_write", ", 'PX', longest", ""),
        ("begin_write", "if left > 0 and", "if"),
        ("end_write", ", 'PX', longest", ""),
        ("end_write", "if left > 0 then", "if true then"),
    ],
    "a mark of several writers has no deadline": [("begin_write", ", 'PX', longest", "")],
    "a mark that a writer has left has no deadline": [("end_write", ", 'PX', longest", "")],
    "a lease over has no deadline": [("lease_over", ", 'PX', ARGV[4]", "")],
}

LEAVES_A_MARK_AFTER_A_REFUSED_INSTALL: list[Change] = [("install", "call('DEL', KEYS[1])", "")]

LEAVES_A_FILL_UNDER_A_LOST_MARK: list[Change] = [
    ("end_write", "lost = lost + 1\n    gone[#gone + 1] = key", "lost = lost + 1")
]


@contextmanager
def changed(changes: Sequence[Change]) -> Iterator[None]:
    """The library's scripts with some of their text changed, in this process."""
    real = redis_store.script

    def script(name: str) -> Script:
        source = real(name).source.decode()
        for changed_script, old, new in changes:
            if changed_script == name:
                assert old in source, f"{name}.lua says no longer {old!r}"
                source = source.replace(old, new) if old else _begun(source, new)
        data = source.encode()
        return Script(data, hashlib.sha1(data, usedforsecurity=False).hexdigest().encode())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(redis_store, "script", script)
        yield


def _begun(source: str, new: str) -> str:
    """A script with something at its start, behind the line that says what it may."""
    flags, line, rest = source.partition("\n") if source.startswith("#!") else ("", "", source)
    return flags + line + new + rest


class Leasing(RedisStore):
    """A store whose lease is another command."""

    words: tuple[bytes, ...] = ()

    def lease(
        self,
        keys: Sequence[bytes],
        lease: bytes,
        ttl: int,
        tags: Sequence[bytes] = (),
        fresh: bytes = b"",
    ) -> tuple[list[bytes | None], list[bytes]]:
        (key,) = keys
        words = [b"%d" % ttl if word == b"ttl" else word for word in self.words]
        parts = [b"SET", key, lease, b"GET", *words]
        packed = b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%b\r\n" % (len(p), p) for p in parts)
        found = self.channel.call(packed)
        return [None if b"NX" not in words else found], []


class StealingLeases(Leasing):
    """A lease takes the place of whatever stands there."""

    words = (b"PX", b"ttl")


class EverlastingLeases(Leasing):
    """A lease has no lifetime."""

    words = (b"NX",)


class OwnRowInstalled(RedisStore):
    """The end of a write stores the row that the writer wrote, whatever happened since."""

    rows: dict[bytes, bytes]

    def end_write(self, keys: Sequence[bytes], writer: bytes) -> int:
        lost = super().end_write(keys, writer)
        lease = b"L" + writer
        self.lease(keys, lease, 10_000)
        self.fill(keys, lease, [self.rows[writer]], [300_000])
        return lost
