"""One key on the real server, put into any state and stepped by the real store.

What a step does depends on nothing but the entry that it meets, so each distinct step is made once
on the server and remembered: restore the entry by a plain `SET`, let the store do the step, look at
what stands there then. Random tokens are given names, so that equal states are equal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import redis

from django_cachepatterns import entry
from django_cachepatterns.stores import RedisStore

LEASE_TTL, MARK_TTL, VALUE_TTL, TAG_TTL = 10_000, 60_000, 300_000, 86_400_000
LIFETIMES = {"L": LEASE_TTL, "W": MARK_TTL, "T": TAG_TTL}
SLACK = 1000
"""Milliseconds: an end of a write and a drop move the deadlines of others on by one."""
FINGERPRINT = b"8 bytes."

Writers = tuple[tuple[str, bool], ...]


class Entry(NamedTuple):
    """What stands under the key, in names.

    `what` is the version of a value (`V`) and the versions of tags that it depends on, the holder
    of a lease (`L`), that of a refresh and what it goes before (`R`), the writers of a mark (`W`)
    each with whether its deadline is still to come, the name of a tag's version (`T`) or of that
    which an absence depends on (`N`), or the name of garbage (`?`). `expires` says whether the key
    has a lifetime, and a bounded one.
    """

    kind: str
    what: Any
    expires: bool = True

    def __str__(self) -> str:
        what = self.what
        if self.kind == "W":
            what = ", ".join(name if alive else f"{name} (lapsed)" for name, alive in what)
        return f"{self.kind}[{what}]" + ("" if self.expires else " for ever")


GARBAGE = {
    "another schema's value": entry.pack(
        entry.Header(entry.VALUE, b"another.", entry.NO_EPOCH, 0, 0, ()), b"old"
    ),
    "a damaged mark": b"W",
    "noise": b"\0\xff",
    "empty": b"",
}

Operation = tuple[str, ...]
"""A method of the store and the names of who calls it, with what."""


class Outcome(NamedTuple):
    """What stands there after an operation, and what it returned, in names."""

    entry: Entry | None
    answer: Any


class Server:
    """One key, on the store under test.

    Args:
        store: what makes the steps.
        client: what restores and looks.
        key: the key.
    """

    def __init__(self, store: RedisStore, client: redis.Redis, key: bytes) -> None:
        self.store, self.client, self.key = store, client, key
        store.get(key)  # The epoch is known from here on.
        self.tokens: dict[str, bytes] = {}
        self._names: dict[bytes, str] = {}
        self._known: dict[tuple[Entry | None, Operation], Outcome] = {}

    def beside(self, name: str) -> Server:
        """Another key, with the same names for the same tokens."""
        other = Server(self.store, self.client, self.key + b":" + name.encode())
        other.tokens, other._names = self.tokens, self._names
        return other

    def after(self, before: Entry | None, operation: Operation) -> Outcome:
        """What an operation does where `before` stands."""
        known = self._known.get((before, operation))
        if known is None:
            self.restore(before)
            known = self._known[before, operation] = self.do(operation)
        return known

    @property
    def distinct_steps(self) -> int:
        """How many different steps were made on the server."""
        return len(self._known)

    def do(self, operation: Operation) -> Outcome:
        """Do it now, to whatever stands there."""
        answer = self._call(*operation)
        return Outcome(self.look(), answer)

    def _call(self, method: str, *names: Any) -> Any:
        store, keys = self.store, [self.key]
        if method == "get":
            return self.named(store.get(self.key))
        if method == "lease":
            found, _ = store.lease(keys, self._lease(names[0]), LEASE_TTL)
            return self.named(found[0])
        if method == "lease_over":
            seen = [self._bytes(Entry("?", names[1]))]
            return self.named(store.lease_over(keys, seen, self._lease(names[0]), LEASE_TTL)[0])
        if method == "fill":
            data = self._bytes(Entry("V", names[1]))
            return store.fill(keys, self._lease(names[0]), [data], [VALUE_TTL])[0]
        if method == "release":
            return store.release(keys, self._lease(names[0]))
        if method == "begin_write":
            return store.begin_write(keys, self.token(names[0]), MARK_TTL)
        if method == "end_write":
            return store.end_write(keys, self.token(names[0]))
        assert method == "drop"
        return store.drop(keys)

    def restore(self, wanted: Entry | None) -> None:
        """Put an entry under the key, past the store."""
        if wanted is None:
            self.client.delete(self.key)
        else:
            ttl = LIFETIMES.get(wanted.kind, VALUE_TTL)
            px = ttl if wanted.expires else None
            self.client.set(self.key, self._bytes(wanted), px=px)

    def put_stale(self, version: str, *versions: str) -> None:
        """Put a value past its soft expiry under the key, which depends on versions of tags."""
        tokens = tuple(map(self.token, versions))
        self.client.set(self.key, self.value(version, 1, tokens), px=VALUE_TTL)

    def look(self) -> Entry | None:
        """What stands under the key."""
        size, key = len(self.key), self.key
        data, left, now = self.store.channel.call_many(
            b"*2\r\n$3\r\nGET\r\n$%d\r\n%b\r\n" % (size, key)
            + b"*2\r\n$4\r\nPTTL\r\n$%d\r\n%b\r\n" % (size, key)
            + b"*1\r\n$4\r\nTIME\r\n",
            3,
        )
        found = self.named(data, milliseconds(now))
        if found is None:
            return None
        longest = LIFETIMES.get(found.kind, VALUE_TTL)
        return found._replace(expires=0 < left <= longest + SLACK)

    def token(self, name: str) -> bytes:
        """The random token of a name."""
        if name not in self.tokens:
            self.learn(name, entry.new_token())
        return self.tokens[name]

    def learn(self, name: str, token: bytes) -> None:
        """From now on a token has this name."""
        self.tokens[name] = token
        self._names[token] = name

    def _lease(self, name: str) -> bytes:
        return entry.lease(self.token(name))

    def value(self, version: str, soft_expiry: int = 0, versions: tuple[bytes, ...] = ()) -> bytes:
        """The entry of a version of the row."""
        header = entry.Header(entry.VALUE, FINGERPRINT, self.store.epoch, soft_expiry, 0, versions)
        return entry.pack(header, version.encode())

    def _bytes(self, wanted: Entry) -> bytes:
        if wanted.kind == "V":
            return self.value(wanted.what)
        if wanted.kind == "L":
            return self._lease(wanted.what)
        if wanted.kind == "T":
            return entry.tag(self.token(wanted.what))
        if wanted.kind == "?":
            return GARBAGE[wanted.what]
        now = self._now()
        return entry.MARK + b"".join(
            self.token(name) + b"%013d" % (now + MARK_TTL if alive else now - 1)
            for name, alive in wanted.what
        )

    def named(self, data: bytes | None, now: int | None = None) -> Entry | None:
        """An entry in names. A mark is read by the server's clock, `now` if that is known."""
        if data is None:
            return None
        for name, garbage in GARBAGE.items():
            if data == garbage:
                return Entry("?", name)
        if data[:1] in (entry.LEASE, entry.TAG):
            return Entry(data[:1].decode(), self._names[data[1:]])
        if data[:1] == entry.MARK:
            return Entry("W", tuple(self._writers(data, now or self._now())))
        if data[:1] == entry.REFRESH:
            holder = self._names[data[1 : 1 + entry.TOKEN_SIZE]]
            return Entry("R", (holder, self.named(data[entry.REFRESH_SIZE :], now)))
        parts = entry.unpack(data)
        assert parts is not None, data
        names = [self._names[version] for version in parts[0].versions]
        if parts[0].state == entry.NEGATIVE:
            return Entry("N", names[0])
        return Entry("V", " under ".join([parts[1].decode(), *names]))

    def _writers(self, data: bytes, now: int) -> Iterator[tuple[str, bool]]:
        for writer, deadline in entry.writers_of(data):
            assert deadline <= now + MARK_TTL + SLACK
            yield self._names[writer], deadline > now

    def _now(self) -> int:
        return milliseconds(self.client.time())


def milliseconds(answer: Sequence[Any]) -> int:
    """The server's answer to `TIME`, in milliseconds."""
    seconds, microseconds = answer
    return int(seconds) * 1000 + int(microseconds) // 1000


def lapsed(mark: Entry, name: str) -> Entry | None:
    """A mark after one writer's deadline has passed.

    The last deadline takes the key with it, if the key has a lifetime.
    """
    writers = tuple((each, alive and each != name) for each, alive in mark.what)
    if mark.expires and not any(alive for _, alive in writers):
        return None
    return mark._replace(what=writers)
