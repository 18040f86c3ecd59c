"""Refreshes in the background: few threads, a bounded queue, and nothing left behind."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connections

from django_cachepatterns.stampede.refresher import REFRESHER, Refresher
from tests.forks import in_child


class Work:
    """Refreshes that last until they are let go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.begun: list[str] = []
        self.threads: set[int] = set()

    def refresh(self, name: str) -> Callable[[], None]:
        def run() -> None:
            self.begun.append(name)
            self.threads.add(threading.get_ident())
            assert self.go.wait(10)

        return run


@pytest.fixture
def work() -> Iterator[Work]:
    made = Work()
    yield made
    made.go.set()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_what_is_submitted_is_refreshed_in_another_thread(work: Work) -> None:
    refresher = Refresher(threads=1)
    work.go.set()
    assert refresher.submit(b"key", work.refresh("key"))
    assert refresher.wait_until_idle(10)
    assert work.begun == ["key"]
    assert threading.get_ident() not in work.threads


def test_submitting_does_not_wait(work: Work) -> None:
    refresher = Refresher(threads=1)
    began = time.monotonic()
    for number in range(5):
        assert refresher.submit(b"%d" % number, work.refresh("key"))
    assert time.monotonic() - began < 1
    assert not refresher.wait_until_idle(0.01)


def test_a_key_that_waits_or_runs_is_refreshed_once(work: Work) -> None:
    refresher = Refresher(threads=1)
    for _ in range(3):
        assert refresher.submit(b"one", work.refresh("one"))
        assert refresher.submit(b"two", work.refresh("two"))
    work.go.set()
    assert refresher.wait_until_idle(10)
    assert work.begun == ["one", "two"]


def test_a_key_that_was_refreshed_can_be_refreshed_again(work: Work) -> None:
    refresher = Refresher(threads=1)
    work.go.set()
    for _ in range(2):
        assert refresher.submit(b"key", work.refresh("key"))
        assert refresher.wait_until_idle(10)
    assert work.begun == ["key", "key"]


def test_no_more_are_taken_than_fit(work: Work) -> None:
    refresher = Refresher(threads=2, longest=3)
    taken = [refresher.submit(b"%d" % number, work.refresh(str(number))) for number in range(5)]
    assert taken == [True, True, True, False, False]
    assert refresher.submit(b"0", work.refresh("0")), "It is about to be refreshed already."
    work.go.set()
    assert refresher.wait_until_idle(10)
    assert sorted(work.begun) == ["0", "1", "2"]
    assert refresher.submit(b"4", work.refresh("4")), "There is room again."
    assert refresher.wait_until_idle(10)


def test_no_more_threads_run_than_are_allowed(work: Work) -> None:
    refresher = Refresher(threads=2)
    for number in range(6):
        refresher.submit(b"%d" % number, work.refresh(str(number)))
    wait_until(lambda: len(work.begun) == 2)
    work.go.set()
    assert refresher.wait_until_idle(10)
    assert len(work.begun) == 6
    assert len(work.threads) == 2


def test_what_a_loader_raises_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    error = ValueError("no rows")

    def fail() -> None:
        raise error

    refresher = Refresher(threads=1)
    with caplog.at_level(logging.ERROR, logger="django_cachepatterns"):
        refresher.submit(b"cp:bad", fail)
        assert refresher.wait_until_idle(10)
    (record,) = caplog.records
    assert "cp:bad" in record.getMessage()
    assert record.exc_info is not None
    assert record.exc_info[1] is error


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("error", [ValueError, SystemExit, asyncio.CancelledError])
def test_what_a_loader_raises_stops_no_thread(work: Work, error: type[BaseException]) -> None:
    def fail() -> None:
        raise error

    refresher = Refresher(threads=2)
    for number in range(4):
        refresher.submit(b"bad %d" % number, fail)
        assert refresher.wait_until_idle(10)
    work.go.set()
    refresher.submit(b"good", work.refresh("good"))
    assert refresher.wait_until_idle(5)
    assert work.begun == ["good"]


def test_a_refresh_runs_in_the_context_of_who_found_it_stale() -> None:
    language: contextvars.ContextVar[str] = contextvars.ContextVar("language", default="none")
    found: list[str] = []
    refresher = Refresher(threads=1)
    language.set("de")
    refresher.submit(b"key", lambda: found.append(language.get()))
    assert refresher.wait_until_idle(10)
    assert found == ["de"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("fails", [False, True])
def test_its_database_connections_are_its_own_and_closed_after_use(fails: bool) -> None:
    used: list[Any] = []

    def refresh() -> None:
        connection = connections["default"]
        connection.ensure_connection()
        used.append(connection)
        assert connection.connection is not None
        if fails:
            raise ValueError

    connections["default"].ensure_connection()
    refresher = Refresher(threads=1)
    refresher.submit(b"key", refresh)
    assert refresher.wait_until_idle(10)
    wait_until(lambda: used[0].connection is None)
    assert used[0] is not connections["default"]
    assert connections["default"].connection is not None


@pytest.mark.django_db(transaction=True)
def test_its_database_connections_are_closed_when_it_is_idle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    used: list[Any] = []
    close_all = connections.close_all

    def close_slowly() -> None:
        time.sleep(0.1)
        close_all()

    def refresh() -> None:
        monkeypatch.setattr(connections, "close_all", close_slowly)
        connections["default"].ensure_connection()
        used.append(connections["default"])

    refresher = Refresher(threads=1)
    refresher.submit(b"key", refresh)
    assert refresher.wait_until_idle(10)
    idle_but_open = used[0].connection is not None
    wait_until(lambda: used[0].connection is None)
    assert not idle_but_open


def test_a_forked_child_refreshes_by_itself(work: Work) -> None:
    """What its parent is at is not refreshed in it, and its parent's threads are not there."""

    def in_the_child() -> str:
        done = threading.Event()
        assert REFRESHER.submit(b"forked", done.set)
        return repr((done.wait(10), REFRESHER.wait_until_idle(10)))

    assert REFRESHER.wait_until_idle(10)
    assert REFRESHER.submit(b"forked", work.refresh("parent"))
    wait_until(lambda: bool(work.begun))
    assert in_child(in_the_child) == "(True, True)"
    work.go.set()
    assert REFRESHER.wait_until_idle(10)


AT_THE_END = """
import time
import django
from django.conf import settings

settings.configure(DATABASES={})
django.setup()
from django_cachepatterns.stampede.refresher import REFRESHER

for number in range(50):
    assert REFRESHER.submit(b"%d" % number, lambda: time.sleep(0.5))
"""


def test_a_process_ends_though_refreshes_wait() -> None:
    """What they would refresh stays stale, for other processes to find."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", AT_THE_END], check=True, timeout=60)
    assert time.monotonic() - began < 8, "All of them would take 12.5 seconds."
