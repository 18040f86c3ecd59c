"""Processes that count and end: at a clean end what they have counted reaches the database."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from django_cachepatterns import conf
from example_project.servers import Valkey
from tests.processes import environment, program, run
from tests.testapp.models import Page

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

COUNTING = ("-m", "tests.processes.counting")


@pytest.fixture
def page() -> Page:
    return Page.objects.create(title="a")


def in_database(page: Page) -> int:
    return Page.objects.nocache().values_list("views", flat=True).get(pk=page.pk)


def waiting(page: Page) -> int:
    return Page.view_counter.pending(page.pk)


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        ("exits", 7),
        ("returns", 0),
        ("raises", 1),
        ("in_threads", 0),
        ("in_a_transaction", 0),
        ("forks", 7),
        ("process_by_fork", 0),
        ("process_by_spawn", 0),
    ],
)
def test_a_clean_end_flushes(page: Page, ending: str, code: int) -> None:
    ended = run(*COUNTING, ending, str(page.pk))
    assert (ended.returncode, "LOG" in ended.stderr) == (code, False), ended.stderr
    assert (in_database(page), waiting(page)) == (3, 0)


@pytest.mark.parametrize(
    ("ending", "code"), [("vanishes", 7), ("is_killed", -9), ("forks_after_counting", 7)]
)
def test_an_end_that_is_not_clean_leaves_it_to_the_next_flush(
    page: Page, ending: str, code: int
) -> None:
    ended = run(*COUNTING, ending, str(page.pk))
    assert ended.returncode == code, ended.stderr
    assert (in_database(page), waiting(page)) == (0, 3)
    assert Page.view_counter.flush().rows == 1
    assert (in_database(page), waiting(page)) == (3, 0)


def test_the_setting_turns_it_off(page: Page) -> None:
    ended = run(*COUNTING, "exits", str(page.pk), PROCESS_DRAIN="no")
    assert (ended.returncode, ended.stderr) == (7, "")
    assert (in_database(page), waiting(page)) == (0, 3)


def test_what_a_test_run_has_counted_is_not_flushed_to_another_database(page: Page) -> None:
    ended = run(*COUNTING, "ends_a_test_run", str(page.pk))
    assert (ended.returncode, ended.stderr) == (0, "")
    assert waiting(page) == 3


def test_a_forked_child_does_not_talk_on_its_parents_connection(page: Page) -> None:
    ended = run(*COUNTING, "forks_beside_a_query", str(page.pk))
    assert ended.returncode == 7, ended.stderr
    assert ended.stdout == "the parent sees (3,)\n"


@pytest.fixture
def deaf_port() -> Iterator[int]:
    """A port that takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def database_url(port: int) -> str:
    return f"postgres://postgres@127.0.0.1:{port}/postgres"


def logged(said: str) -> list[str]:
    return [line for line in said.splitlines() if line.startswith("LOG")]


def test_a_database_that_is_away_is_said_in_one_line(page: Page) -> None:
    began = time.monotonic()
    ended = run(*COUNTING, "exits", str(page.pk), DATABASE_URL=database_url(1))
    assert time.monotonic() - began < 8
    assert ended.returncode == 7
    (line,) = logged(ended.stderr)
    assert "could not be drained" in line
    assert "refused" in line
    assert waiting(page) == 3


@pytest.mark.slow
def test_a_database_that_hangs_does_not_hang_the_end(page: Page, deaf_port: int) -> None:
    began = time.monotonic()
    ended = run(*COUNTING, "exits", str(page.pk), DATABASE_URL=database_url(deaf_port))
    assert time.monotonic() - began < 20
    assert ended.returncode == 7
    (line,) = logged(ended.stderr)
    assert "not within 10 seconds" in line
    assert waiting(page) == 3


@pytest.mark.parametrize("fault", ["kill", "pause"])
def test_a_buffer_server_that_is_away_is_said_in_one_line(
    page: Page, own_valkey: Valkey, tmp_path: Path, fault: str
) -> None:
    reading, writing = os.pipe()
    with (
        os.fdopen(writing, "w") as orders,
        program(
            tmp_path / "said",
            *COUNTING,
            "waits",
            str(page.pk),
            stdin=reading,
            REDIS_URL=own_valkey.url,
            PROCESS_TIMEOUT=conf.DEFAULTS["TIMEOUT"],
        ) as counting,
    ):
        os.close(reading)
        counting.wait_for("counted")
        getattr(own_valkey, fault)()
        began = time.monotonic()
        orders.write("end\n")
        orders.flush()
        assert counting.wait() == 7
        assert time.monotonic() - began < 5
        (line,) = logged(counting.said())
    assert "could not be drained" in line


def test_who_ends_while_another_flushes_waits_for_its_turn(page: Page, redis_client: Any) -> None:
    server, keys = Page.view_counter.server(), Page.view_counter.keys()
    assert server.claim(keys, b"another", 700)
    ended = run(*COUNTING, "exits", str(page.pk))
    assert (ended.returncode, ended.stderr) == (7, "")
    assert (in_database(page), waiting(page)) == (3, 0)


def test_the_environment_of_a_program_names_the_test_databases() -> None:
    assert "test_" in environment()["PROCESS_DATABASES"]
