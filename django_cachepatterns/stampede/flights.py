"""Single flight: of the threads of one process that want one entry, one goes for it.

The others do not get its result, which might be of before they asked. They get what a look at the
store showed that was taken when the flight had landed, after they joined: so what they are given
was true while they waited. It is the idea of Go's `singleflight`, made safe for invalidation.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Hashable
from concurrent.futures import Future
from typing import Any


class Flight:
    """One thread's way to an entry."""

    __slots__ = ("course", "future", "passengers")

    def __init__(self, course: Hashable) -> None:
        self.course = course
        self.future: Future[Any] = Future()
        self.passengers = 0

    def land(self, found: Any) -> None:
        """Tell those who joined what stands in the store; `None`: they must look themselves."""
        if not self.future.done():
            self.future.set_result(found)


class Flights:
    """The flights of a process."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # A finaliser may read in the middle.
        self._under_way: dict[Hashable, Flight] = {}

    def join(self, course: Hashable) -> tuple[Flight, bool]:
        """The flight to an entry, and whether the caller is the one who must go.

        Args:
            course: what is looked at, and where.
        """
        with self._lock:
            flight = self._under_way.get(course)
            if flight is None:
                flight = self._under_way[course] = Flight(course)
                return flight, True
            flight.passengers += 1
            return flight, False

    def close(self, flight: Flight) -> bool:
        """Let nobody join any more. Returns whether anybody has."""
        with self._lock:
            if self._under_way.get(flight.course) is flight:
                del self._under_way[flight.course]
            return flight.passengers > 0

    def forget(self) -> None:
        """A forked child has none of its parent's threads."""
        self.__init__()  # type: ignore[misc]


FLIGHTS = Flights()


def _after_fork(flights: Any = FLIGHTS) -> None:
    flights.forget()


os.register_at_fork(after_in_child=_after_fork)
