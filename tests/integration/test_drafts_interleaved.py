"""Two flushers at once, each stopped at each step while the other goes on: an older value is never
written over a newer one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from django.db import connection, connections

from django_cachepatterns import hooks
from django_cachepatterns.write_behind import Draft, registry
from django_cachepatterns.write_behind.records import DeadLetter, LedgerEntry
from tests.testapp.models import Cart

pytestmark = pytest.mark.django_db(transaction=True)

LONG = 20
EVENTS = 18
"""About as many steps as a flush of three batches has, one of them twice."""


@pytest.fixture
def draft() -> Iterator[Draft]:
    made = Draft(Cart, fields=["items", "total"], batch_rows=2)
    yield made
    registry.unregister(made)


class Flusher(threading.Thread):
    """A flush that stops before its n-th step is over, until it is let go."""

    def __init__(self, draft: Draft, stop_at: int, told: Callable[[str], None]) -> None:
        super().__init__(daemon=True)
        self.draft, self.stop_at, self.told = draft, stop_at, told
        self.stopped, self.go = threading.Event(), threading.Event()
        self.steps = 0
        self.pid = 0
        self.errors: tuple[Any, ...] = ()

    def run(self) -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_backend_pid()")
                (self.pid,) = cursor.fetchone()
            self.errors = self.draft.flush().errors
        finally:
            connections.close_all()

    def at(self, step: str) -> None:
        self.told(step)
        self.steps += 1
        if self.steps == self.stop_at:
            self.stopped.set()
            assert self.go.wait(LONG)

    def runs_until_it_stops(self) -> None:
        """Waits until it has stopped, has ended, or waits for a lock of the other."""
        deadline = time.monotonic() + LONG
        while self.is_alive() and (self.go.is_set() or not self.stopped.is_set()):
            if self.pid and self._waits_for_a_lock():
                return
            assert time.monotonic() < deadline, "it neither stops nor ends"
            self.join(0.001)

    def _waits_for_a_lock(self) -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT cardinality(pg_blocking_pids(%s)) > 0", [self.pid])
            (blocked,) = cursor.fetchone()
        return bool(blocked)

    def ends(self) -> None:
        self.go.set()
        self.runs_until_it_stops()


@pytest.mark.parametrize("first", range(1, EVENTS))
def test_no_interleaving_of_two_flushers_undoes_a_value(
    first: int, draft: Draft, redis_client: redis.Redis
) -> None:
    for second in range(1, EVENTS):
        interleave(draft, first, second, redis_client)


def interleave(draft: Draft, first: int, second: int, client: redis.Redis) -> None:
    Cart.objects.all().delete()
    DeadLetter.objects.all().delete()
    row, other = Cart.objects.create(items={"n": 0}), Cart.objects.create()
    seen: list[int] = []
    lock = threading.Lock()

    def told(step: str) -> None:
        if step in ("committed", "acked"):
            with lock:
                found = Cart.objects.nocache().values_list("items", flat=True).get(pk=row.pk)
                seen.append(found["n"])

    def hook(at: hooks.Flushing) -> None:
        thread = threading.current_thread()
        if isinstance(thread, Flusher):
            thread.at(at.step)

    for n in (1, 2, 3):
        total = -1 if n == 2 else n
        draft.save_many({row.pk: {"items": {"n": n}}, other.pk: {"total": total}})
    with hooks.listening(after_flush_step=hook):
        one, two = Flusher(draft, first, told), Flusher(draft, second, told)
        one.start()
        one.runs_until_it_stops()
        draft.save(row.pk, items={"n": 4})
        client.delete(draft.keys().claim)  # As if it had lapsed.
        two.start()
        two.runs_until_it_stops()
        one.ends()
        two.ends()
        one.join(LONG)
        two.join(LONG)
    at = f"stopped at {first} and {second}"
    assert not [each for each in (one, two) if each.is_alive()], at
    assert one.errors == two.errors == (), at
    assert seen == sorted(seen), at
    draft.flush()
    assert Cart.objects.nocache().values_list("items", flat=True).get(pk=row.pk) == {"n": 4}, at
    assert Cart.objects.nocache().values_list("total", flat=True).get(pk=other.pk) == 3, at
    assert not DeadLetter.objects.exists(), f"{at}: a newer value has replaced the refused one"


def test_an_older_batch_is_not_passed_by_when_it_cannot_be_written(
    draft: Draft, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failed batch stops the flush: were the next one written, this one would follow it later."""
    row = Cart.objects.create()
    draft.save(row.pk, items={"n": 1}, total=1)
    draft.save(row.pk, items={"n": 2}, total=2)

    def cancel(at: hooks.Flushing) -> None:
        if at.step == "recorded":
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL statement_timeout = 1")
                cursor.execute("SELECT pg_sleep(1)")

    with hooks.listening(after_flush_step=cancel):
        assert draft.flush().errors
    assert not LedgerEntry.objects.exists()
    assert draft.get(row.pk) == {"items": {"n": 2}, "total": 2}
    assert draft.flush().batches == 2
    assert draft.get(row.pk) == {"items": {"n": 2}, "total": 2}
