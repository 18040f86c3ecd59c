"""A store whose connections can be watched, and made to fail at any point of a command."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from redis.connection import ConnectionPool

from django_cachepatterns.stores import RedisStore
from django_cachepatterns.stores.pool import make_pool

POINTS = ("before send", "after send", "before reply", "after reply")


class Wire:
    """What goes over the connections of one store."""

    def __init__(self, timeout: float) -> None:
        self.sent = 0
        self.opened = 0
        self._plan: tuple[str, int, Callable[[], object]] | None = None
        self.pool: ConnectionPool = make_pool("default", timeout)
        self.pool.connection_class = _tapped(self.pool.connection_class, self)
        self.store = RedisStore(self.pool)

    def at(self, point: str, count: int, action: Callable[[], object]) -> None:
        """Do something when a point is reached for the `count`-th time from now, once."""
        self._plan = (point, count, action)

    @property
    def pending(self) -> bool:
        """Whether the point was not reached yet."""
        return self._plan is not None

    def reach(self, point: str) -> None:
        """Called by the connections."""
        if self._plan is None or self._plan[0] != point:
            return
        _, count, action = self._plan
        self._plan = (point, count - 1, action) if count > 1 else None
        if count == 1:
            action()

    def opened_by(self, call: Callable[[], object]) -> int:
        """How many connections a call opens."""
        before = self.opened
        call()
        return self.opened - before

    def sent_by(self, call: Callable[[], object]) -> int:
        """How often a call writes to a connection."""
        before = self.sent
        call()
        return self.sent - before


def _tapped(base: type[Any], wire: Wire) -> type[Any]:
    class Tapped(base):  # type: ignore[misc]
        def connect(self, *args: Any, **kwargs: Any) -> Any:
            wire.opened += self._sock is None
            return super().connect(*args, **kwargs)

        def send_packed_command(self, *args: Any, **kwargs: Any) -> Any:
            wire.reach("before send")
            super().send_packed_command(*args, **kwargs)
            wire.sent += 1
            wire.reach("after send")

        def read_response(self, *args: Any, **kwargs: Any) -> Any:
            wire.reach("before reply")
            reply = super().read_response(*args, **kwargs)
            wire.reach("after reply")
            return reply

    return Tapped
