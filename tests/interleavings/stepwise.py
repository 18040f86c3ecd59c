"""The real store, as one actor sees it: every call is a step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from .schedules import Actor
from .server import Server


class Clock:
    """A clock that only sleeping moves.

    Args:
        now: seconds since 1970.
    """

    def __init__(self, now: float = 1_000.0) -> None:
        self.now = now

    def time(self) -> float:
        return self.now

    monotonic = time

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Observed(Protocol):
    """What the steps are made in."""

    server: Server
    epoch: bytes

    def floor(self) -> int:
        """Which version a read that begins now must see at least."""

    def new_name(self, what: str) -> str:
        """A name that no token has."""


class Stepwise:
    """The store of one actor.

    Args:
        actor: whose steps they are.
        world: where they are made.
        clock: the actor's.
    """

    def __init__(self, actor: Actor, world: Observed, clock: Clock | None = None) -> None:
        self.actor, self.world = actor, world
        self.store = world.server.store
        self.epoch = world.epoch
        self.largest_entry = self.store.largest_entry
        self.clock = clock or Clock()
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
        if keys:
            self.world.server.learn(self.actor.name, lease[1:])
        self._learn_version(fresh)
        what = "leases" if keys else "reads the tags"
        return self.actor.do(what, lambda: self.store.lease(keys, lease, ttl, tags, fresh))

    def lease_over(
        self, keys: Sequence[bytes], seen: Sequence[bytes], lease: bytes, ttl: int
    ) -> Any:
        return self.actor.do("leases over", lambda: self.store.lease_over(keys, seen, lease, ttl))

    def lease_refresh(
        self,
        key: bytes,
        seen: bytes,
        refresh: bytes,
        tags: Sequence[bytes] = (),
        fresh: bytes = b"",
    ) -> Any:
        self.world.server.learn(self.actor.name, refresh[1:17])
        self._learn_version(fresh)
        return self.actor.do(
            "leases to refresh", lambda: self.store.lease_refresh(key, seen, refresh, tags, fresh)
        )

    def fill(
        self, keys: Sequence[bytes], lease: bytes, entries: Sequence[bytes], ttls: Sequence[int]
    ) -> Any:
        return self.actor.do("fills", lambda: self.store.fill(keys, lease, entries, ttls))

    def release(self, keys: Sequence[bytes], lease: bytes) -> Any:
        return self.actor.do("releases", lambda: self.store.release(keys, lease))

    def drop(self, keys: Sequence[bytes]) -> Any:
        return self.actor.do("drops", lambda: self.store.drop(keys))

    def wait(self, keys: Sequence[bytes], seconds: float) -> None:
        """Nobody is told of it; the reader's patience passes."""
        self.clock.sleep(seconds)

    def install(
        self,
        keys: Sequence[bytes],
        seen: Sequence[bytes],
        writer: bytes,
        entries: Sequence[bytes],
        ttls: Sequence[int],
    ) -> Any:
        return self.actor.do(
            "installs", lambda: self.store.install(keys, seen, writer, entries, ttls)
        )

    def begin_write(self, keys: Sequence[bytes], writer: bytes, ttl: int) -> Any:
        return self.actor.do("begins", lambda: self.store.begin_write(keys, writer, ttl))

    def end_write(self, keys: Sequence[bytes], writer: bytes) -> Any:
        return self.actor.do("ends", lambda: self.store.end_write(keys, writer))

    def post_end_write(
        self, keys: Sequence[bytes], writer: bytes, done: Callable[[Any], object]
    ) -> None:
        done(self.end_write(keys, writer))

    def _learn_version(self, fresh: bytes) -> None:
        if fresh:
            self.world.server.learn(self.world.new_name("version"), fresh[1:])
