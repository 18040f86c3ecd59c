"""The threads that warm, and their patience."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import nullcontext
from typing import TypeVar

from django.db import connections
from django.db.utils import DatabaseError, InterfaceError

from .. import conf
from ..conf import as_tenant
from ..exceptions import StoreUnavailable
from .course import Course
from .filling import Filling

T = TypeVar("T")

TROUBLES = (StoreUnavailable, DatabaseError, InterfaceError)
"""What ends a warming, if it does not pass."""
PAUSES = (0.5, 1.0, 2.0)
"""Seconds between tries."""


class Crew:
    """Threads on one course.

    Args:
        course: gives the chunks.
        filling: warms them.
        stop: set it to end after the chunks that are under way.
    """

    def __init__(self, course: Course, filling: Filling, stop: threading.Event) -> None:
        self._course, self._filling, self._stop = course, filling, stop
        self._ended = threading.Event()
        self.error: BaseException | None = None
        """What has ended a thread early; the first of them."""

    def run(self, workers: int) -> None:
        """Warm all, or until it is stopped. One worker is this thread."""
        if workers == 1:
            self._work()
            return
        config = conf.config()
        tenant = config.current_tenant() if config.tenant is not None else None
        has_tenants = config.tenant is not None
        threads = [
            threading.Thread(target=self._thread, args=(has_tenants, tenant), daemon=True)
            for _ in range(workers)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(0.1)  # So that this one hears signals.

    def _thread(self, has_tenants: bool, tenant: str | None) -> None:
        try:
            with as_tenant(tenant) if has_tenants else nullcontext():
                self._work()
        except BaseException as error:  # noqa: BLE001 - the caller's thread raises it
            self._fail(error)
        finally:
            connections.close_all()

    def _work(self) -> None:
        try:
            while not self._is_over():
                taken = self._patiently(self._course.take)
                if taken is None:
                    return
                number, chunk = taken
                tally = self._patiently(lambda chunk=chunk: self._filling(chunk))  # type: ignore[misc]
                self._course.finish(number, chunk, tally)
        except TROUBLES as error:
            self._fail(error)

    def _patiently(self, act: Callable[[], T]) -> T:
        """Try again after what may pass: a time limit, a server that is replaced."""
        for pause in PAUSES:
            try:
                return act()
            except TROUBLES:
                connection = connections[self._filling.rows.alias]
                if connection.in_atomic_block or self._stop.wait(pause):
                    raise
                connection.close_if_unusable_or_obsolete()
        return act()

    def _is_over(self) -> bool:
        return self._stop.is_set() or self._ended.is_set()

    def _fail(self, error: BaseException) -> None:
        if self.error is None:
            self.error = error
        self._ended.set()
