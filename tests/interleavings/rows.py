"""A row of a database that is a variable, read by the real `Reader` and written by real marks."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from django_cachepatterns.policy import CachePolicy
from django_cachepatterns.reader import Reader
from django_cachepatterns.sources import Loaded
from django_cachepatterns.stampede.flights import Flights
from django_cachepatterns.stores import Store

from .schedules import Actor
from .server import FINGERPRINT, MARK_TTL, Server

ABSENT = "nothing"
POLICY = CachePolicy(ttl=300, jitter=0, lease_ttl=10, lease_wait=0.001, negative_ttl=30)


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def time(self) -> float:
        return self.now

    monotonic = time

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Stepwise:
    """The store as one actor sees it: every call is a step.

    Args:
        actor: whose steps they are.
        world: what it reads.
    """

    def __init__(self, actor: Actor, world: RowWorld) -> None:
        self.actor, self.world = actor, world
        self.store = world.server.store
        self.epoch = world.epoch
        self.largest_entry = self.store.largest_entry
        self.clock = Clock()
        self.floor: int | None = None

    def get(self, key: bytes) -> Any:
        return self.actor.do("gets the tag", lambda: self.store.get(key))

    def get_many(self, keys: Sequence[bytes]) -> Any:
        def get() -> Any:
            if self.floor is None:
                self.floor = self.world.floor()
                self.actor.seen.append(self.floor)
            return self.store.get_many(keys)

        return self.actor.do("gets", get)

    def lease(
        self,
        keys: Sequence[bytes],
        lease: bytes,
        ttl: int,
        tags: Sequence[bytes] = (),
        fresh: bytes = b"",
    ) -> Any:
        names = self.world.server
        names.learn(self.actor.name, lease[1:])
        if tags:
            self.world.tags += 1
            names.learn(f"tag {self.world.tags}", fresh[1:])
        return self.actor.do("leases", lambda: self.store.lease(keys, lease, ttl, tags, fresh))

    def wait(self, keys: Sequence[bytes], seconds: float) -> None:
        """Nobody is told of it; the reader's patience passes."""
        self.clock.sleep(seconds)

    def lease_over(
        self, keys: Sequence[bytes], seen: Sequence[bytes], lease: bytes, ttl: int
    ) -> Any:
        return self.actor.do("leases over", lambda: self.store.lease_over(keys, seen, lease, ttl))

    def fill(
        self, keys: Sequence[bytes], lease: bytes, entries: Sequence[bytes], ttls: Sequence[int]
    ) -> Any:
        return self.actor.do("fills", lambda: self.store.fill(keys, lease, entries, ttls))

    def release(self, keys: Sequence[bytes], lease: bytes) -> Any:
        return self.actor.do("releases", lambda: self.store.release(keys, lease))


class Row:
    """The source of the one row."""

    name = "interleavings.row"
    policy = POLICY
    fingerprint = FINGERPRINT

    def __init__(self, world: RowWorld, load: Callable[[], Loaded]) -> None:
        self.world = world
        self.tag = world.tag_key
        self._load = load

    def entry_key(self, asked: str) -> bytes:
        return self.world.server.key

    def tags(self, asked: str) -> tuple[bytes, ...]:
        return ()

    def may_fill(self, asked: str) -> bool:
        return True

    def recipe(self, asked: str) -> None:
        return None

    def load(self, asked: Sequence[str]) -> Loaded:
        return self._load()

    def encode(self, value: str) -> bytes:
        return value.encode()

    def decode(self, payload: bytes) -> str:
        return payload.decode()


class RowWorld:
    """A row, and who reads and writes it.

    Args:
        server: where the entry is.
        tag: where the tag of absences is; `None`: absences are not remembered.
        first: the version at first; `ABSENT`: the row is not there yet.
    """

    def __init__(self, server: Server, tag: Server | None = None, first: str = "v0") -> None:
        self.server, self.tag = server, tag
        self.tag_key = tag.key if tag is not None else None
        self.versions = [first]
        self.actors: list[Actor] = []
        self.problems: list[str] = []
        self.tags = 0
        self.epoch = server.store.epoch
        """The steps are made in this thread, so it is this thread's epoch that counts."""
        server.restore(None)
        if tag is not None:
            tag.restore(None)

    # Actors

    def add(self, name: str, script: Callable[[Actor], object]) -> None:
        """Add an actor; its first step waits for its turn."""
        self.actors.append(Actor(name, script, self.named))

    def add_reader(self, reads: int = 1) -> None:
        """Somebody who reads the row through the real Reader, and whose reads are checked."""
        self.add(f"r{len(self.actors) + 1}", lambda actor: self._read(actor, reads))

    def add_snapshot_reader(self, *, publish: bool) -> None:
        """Somebody who reads what the row was when its transaction began."""
        self.add("snapshot", lambda actor: self._read_snapshot(actor, publish))

    def add_writer(self, version: str, *, commits: bool = True) -> None:
        """Somebody who writes the row, or rolls back."""
        self.add(f"w{len(self.actors) + 1}", lambda actor: self._write(actor, version, commits))

    def add_evictor(self) -> None:
        """The server, short of memory, once; it spares marks (that hole is known)."""
        self.add("eviction", lambda actor: actor.do("strikes", self._evict))

    def _read(self, actor: Actor, reads: int) -> None:
        for left in range(reads, 0, -1):
            actor.forget()
            actor.seen.append(left)
            store = Stepwise(actor, self)
            value = self._reader(store, lambda: actor.do("loads", self.load)).read(["row"])
            self._check(actor, value.get("row", ABSENT), store.floor or 0)

    def _read_snapshot(self, actor: Actor, publish: bool) -> None:
        snapshot = actor.do("begins its transaction", self.load)._replace(publish=publish)
        store = Stepwise(actor, self)
        self._reader(store, lambda: actor.do("loads", lambda: snapshot)).read(["row"])

    def _reader(self, store: Stepwise | Store, load: Callable[[], Loaded]) -> Reader[str, str]:
        return Reader(Row(self, load), store, getattr(store, "clock", Clock()), Flights())  # type: ignore[arg-type]

    def _write(self, actor: Actor, version: str, commits: bool) -> None:
        keys = [self.server.key if self.versions[0] != ABSENT else self.tag_key or b""]
        writer, store = self.server.token(actor.name), self.server.store
        actor.do("begins", lambda: store.begin_write(keys, writer, MARK_TTL))
        if commits:
            actor.do(f"commits {version}", lambda: self.versions.append(version))
        actor.do("ends", lambda: store.end_write(keys, writer))

    def _evict(self) -> None:
        for server in filter(None, [self.server, self.tag]):
            stands = server.look()
            if stands is not None and stands.kind != "W":
                server.restore(None)

    def read_once(self) -> None:
        """Somebody has read the row before anything else happens."""
        self.add("first", lambda actor: self._read(actor, 1))
        actor = self.actors.pop()
        while not actor.done:
            actor.go()

    # The database

    def load(self) -> Loaded:
        """What a statement sees now."""
        current = self.versions[-1]
        return Loaded({} if current == ABSENT else {"row": current}, publish=True)

    def floor(self) -> int:
        """Which version a read that begins now must see at least."""
        return len(self.versions) - 1

    # What is seen of it

    def named(self, answer: Any) -> Hashable:
        """What a step returns, in names."""
        if isinstance(answer, bytes):
            return str(self.server.named(answer))
        if isinstance(answer, Loaded):
            return f"{answer.values.get('row', ABSENT)}"
        if isinstance(answer, list | tuple):
            return tuple(map(self.named, answer))
        return answer  # type: ignore[no-any-return]

    def state(self) -> Hashable:
        """See `schedules.World`."""
        tag = self.tag.look() if self.tag is not None else None
        return self.server.look(), tag, tuple(self.versions)

    def wrong(self) -> str | None:
        """See `schedules.World`."""
        return self.problems[0] if self.problems else None

    def _check(self, actor: Actor, value: str, floor: int) -> None:
        if value not in self.versions:
            self.problems.append(f"{actor.name} read {value}, which was not committed")
        elif self.versions.index(value) < floor:
            newer = self.versions[floor]
            self.problems.append(f"{actor.name} read {value} though {newer} was committed before")

    def wrong_at_the_end(self) -> str | None:
        """An old value that is left, or a key that is not cached again."""
        crashed = any(actor.crashed for actor in self.actors)
        for server in filter(None, [self.server, self.tag]):
            stands = server.look()
            if stands is not None and stands.kind in "LW":
                if not crashed:
                    return f"{stands} is left though nobody is at it"
                if not stands.expires:
                    return f"{stands} is left"
                server.restore(None)
        for _ in range(2):
            found = self._reader(self.server.store, self._load_and_count).read(["row"])
            value = found.get("row", ABSENT)
            if value != self.versions[-1]:
                return f"{value} is left though {self.versions[-1]} was committed"
        if self._loads > 1:
            return "a reader loads again and again when all has lapsed"
        return None

    _loads = 0

    def _load_and_count(self) -> Loaded:
        self._loads += 1
        return self.load()
