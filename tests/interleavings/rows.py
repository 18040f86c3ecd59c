"""A row of a database that is a variable, read by the real `Reader` and written by real marks."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from django_cachepatterns.policy import CachePolicy
from django_cachepatterns.reader import Reader
from django_cachepatterns.sources import Loaded
from django_cachepatterns.stampede.flights import Flights

from .schedules import LOADS, Actor
from .server import FINGERPRINT, MARK_TTL, Server
from .stepwise import Clock, Stepwise

ABSENT = "nothing"
POLICY = CachePolicy(ttl=300, jitter=0, lease_ttl=10, lease_wait=0.001, negative_ttl=30)
REFRESHING = POLICY.using(stampede="stale_while_revalidate", soft_ttl=100)
INLINE = REFRESHING.using(refresh="inline")
NOW, LATE = 1_000.0, 2_000.0
"""Seconds since 1970: what is filled now is stale then, and a refresh that was begun has failed."""


class Row:
    """The source of one row, or of one list.

    Args:
        key: its entry's.
        load: gives it by the name `row`.
        policy: how it is read.
        tag: the key of the tag of absences.
        tags: the keys of the tags that it depends on.
    """

    name = "interleavings.row"
    fingerprint = FINGERPRINT

    def __init__(
        self,
        key: bytes,
        load: Callable[[], Loaded],
        policy: CachePolicy = POLICY,
        tag: bytes | None = None,
        tags: tuple[bytes, ...] = (),
    ) -> None:
        self.policy, self.tag = policy, tag
        self._key, self._load, self._tags = key, load, tags

    def entry_key(self, asked: str) -> bytes:
        return self._key

    def tags(self, asked: str) -> tuple[bytes, ...]:
        return self._tags

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
        depends: where the tags are that the entry depends on.
        marked: what writers mark; by default the entry, or the tag of absences.
        policy: how it is read.
    """

    only_freshness = False
    """Whether nothing counts as wrong but what is old."""

    def __init__(
        self,
        server: Server,
        tag: Server | None = None,
        first: str = "v0",
        *,
        depends: Sequence[Server] = (),
        marked: Sequence[Server] = (),
        policy: CachePolicy = POLICY,
    ) -> None:
        self.server, self.tag, self.depends = server, tag, tuple(depends)
        by_default = server if tag is None or first != ABSENT else tag
        self.marked = [each.key for each in marked or [by_default]]
        self.policy = policy
        self.versions = [first]
        self.actors: list[Actor] = []
        self.problems: list[str] = []
        self.places = [server, *filter(None, [tag]), *self.depends]
        self._names = 0
        self._uncommitted: list[Actor] = []
        self._loads = 0
        self.epoch = server.store.epoch
        """The steps are made in this thread, so it is this thread's epoch that counts."""
        for place in self.places:
            place.restore(None)

    # Actors

    def add(self, name: str, script: Callable[[Actor], object]) -> Actor:
        """Add an actor; its first step waits for its turn."""
        actor = Actor(f"{name}{len(self.actors) + 1}", script, self.named)
        self.actors.append(actor)
        return actor

    def add_reader(self, reads: int = 1) -> None:
        """Somebody who reads the row through the real Reader, and whose reads are checked."""
        self.add("r", lambda actor: self._read(actor, reads))

    def add_snapshot_reader(self, *, publish: bool) -> None:
        """Somebody who reads what the row was when its transaction began."""
        self.add("snapshot", lambda actor: self._read_snapshot(actor, publish))

    def add_refresher(self, now: float = NOW) -> None:
        """Somebody who was told that the value is stale, and loads it anew."""
        self.add("f", lambda actor: self._refresh(actor, Clock(now)))

    def add_writer(self, version: str, *, commits: bool = True) -> None:
        """Somebody who writes the row, or rolls back."""
        self._add_writer(self._write, version, commits)

    def add_evictor(self, *places: Server) -> None:
        """The server, short of memory, once; it spares marks (that hole is known)."""
        chosen = places or tuple(self.places)
        self.add("eviction", lambda actor: actor.do("strikes", lambda: self._evict(chosen)))

    def _add_writer(
        self, write: Callable[[Actor, str, bool], None], version: str, commits: bool
    ) -> None:
        actor = self.add("w", lambda actor: write(actor, version, commits))
        if commits:
            self._uncommitted.append(actor)

    def _read(self, actor: Actor, reads: int) -> None:
        for left in range(reads, 0, -1):
            actor.forget()
            actor.seen.append(left)
            store = Stepwise(actor, self)
            value = self.reader(store, lambda: actor.do(LOADS, self.load)).read(["row"])
            self._check(actor, value.get("row", ABSENT), store.floor or 0)

    def _read_snapshot(self, actor: Actor, publish: bool) -> None:
        snapshot = actor.do("begins its transaction", self.load)._replace(publish=publish)
        store = Stepwise(actor, self)
        self.reader(store, lambda: actor.do(LOADS, lambda: snapshot)).read(["row"])

    def _refresh(self, actor: Actor, clock: Clock) -> None:
        store = Stepwise(actor, self, clock)
        self.reader(store, lambda: actor.do(LOADS, self.load)).refresh_stale("row")

    def reader(self, store: Any, load: Callable[[], Loaded]) -> Reader[str, str]:
        """The real Reader of the row."""
        clock = getattr(store, "clock", None) or Clock()
        tag = self.tag.key if self.tag is not None else None
        tags = tuple(each.key for each in self.depends)
        row = Row(self.server.key, load, self.policy, tag, tags)
        return Reader(row, store, clock, Flights())

    def _write(self, actor: Actor, version: str, commits: bool) -> None:
        writer, store = self.server.token(actor.name), Stepwise(actor, self)
        store.begin_write(self.marked, writer, MARK_TTL)
        if commits:
            self.commit(actor, version)
        store.end_write(self.marked, writer)

    def commit(self, actor: Actor, version: str) -> None:
        """The step in which a version becomes the current one."""

        def commit() -> None:
            self._uncommitted.remove(actor)
            self.versions.append(version)

        actor.do(f"commits {version}", commit)

    def _evict(self, places: Sequence[Server]) -> None:
        for place in places:
            stands = place.look()
            if stands is not None and stands.kind != "W":
                place.restore(None)

    def read_once(self) -> None:
        """Somebody has read the row before anything else happens."""
        actor = Actor("first", lambda actor: self._read(actor, 1), self.named)
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

    def new_name(self, what: str) -> str:
        """A name that no token has."""
        self._names += 1
        return f"{what} {self._names}"

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
        return [str(place.look()) for place in self.places], self.versions

    def is_settled(self) -> bool:
        """See `schedules.World`."""
        return all(actor.done for actor in self._uncommitted)

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
        for place in self.places:
            stands = place.look()
            if stands is not None and stands.kind in "LW":
                if not crashed and not self.only_freshness:
                    return f"{stands} is left though nobody is at it"
                if not stands.expires:
                    return f"{stands} is left"
                place.restore(None)
        for _ in range(2):
            found = self.reader(self.server.store, self._load_and_count).read(["row"])
            value = found.get("row", ABSENT)
            if value != self.versions[-1]:
                return f"{value} is left though {self.versions[-1]} was committed"
        if self._loads > 1 and not self.only_freshness:
            return "a reader loads again and again when all has lapsed"
        return None

    def _load_and_count(self) -> Loaded:
        self._loads += 1
        return self.load()
