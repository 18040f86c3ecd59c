"""The real `Reader`, stopped before each step, in every order with writers and accidents."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from . import mutants
from .rows import ABSENT, RowWorld
from .schedules import Findings, every_schedule
from .server import Entry, Server


def explored(build: Callable[[], RowWorld], *, crashes: bool = False) -> Findings:
    findings = every_schedule(build, crashes=crashes)
    print(findings)
    return findings


def world(
    server: Server,
    *,
    reads: tuple[int, ...] = (1,),
    commits: tuple[bool, ...] = (True,),
    evicts: bool = False,
    tag: Server | None = None,
    first: str = "v0",
) -> RowWorld:
    made = RowWorld(server, tag, first)
    for number in reads:
        made.add_reader(number)
    for number, commit in enumerate(commits, 1):
        made.add_writer(f"v{number}", commits=commit)
    if evicts:
        made.add_evictor()
    return made


def assert_ok(build: Callable[[], RowWorld], *, crashes: bool = False) -> None:
    findings = explored(build, crashes=crashes)
    assert findings.wrong is None, findings


def is_stale(findings: Findings) -> bool:
    """Whether an old version was read, or would be."""
    wrong = findings.wrong or ""
    return " read v" in wrong or " is left though v" in wrong


# A row that is there


@pytest.mark.parametrize("commits", [True, False])
def test_a_reader_and_a_writer_in_every_order(server: Server, commits: bool) -> None:
    assert_ok(lambda: world(server, reads=(2,), commits=(commits,), evicts=True), crashes=True)


def test_two_readers_and_a_writer_in_every_order(server: Server) -> None:
    assert_ok(lambda: world(server, reads=(1, 1)), crashes=True)


def test_a_reader_and_two_writers_in_every_order(server: Server) -> None:
    assert_ok(lambda: world(server, reads=(2,), commits=(True, False), evicts=True))


@pytest.mark.parametrize("garbage", ["another schema's value", "noise"])
def test_useless_entries_in_every_order(server: Server, garbage: str) -> None:
    def build() -> RowWorld:
        made = world(server, reads=(1, 1) if garbage == "noise" else (2,))
        server.restore(Entry("?", garbage))
        return made

    assert_ok(build)


# A row that is not there yet


def test_an_absence_and_a_writer_that_makes_the_row(server: Server, tag: Server) -> None:
    assert_ok(lambda: world(server, reads=(2,), tag=tag, first=ABSENT, evicts=True), crashes=True)


def test_an_absence_two_readers_and_a_writer_that_makes_the_row(
    server: Server, tag: Server
) -> None:
    assert_ok(lambda: world(server, reads=(1, 1), tag=tag, first=ABSENT))


@pytest.mark.parametrize("commits", [True, False])
def test_a_remembered_absence_and_a_writer_that_makes_the_row(
    server: Server, tag: Server, commits: bool
) -> None:
    def build() -> RowWorld:
        made = world(server, reads=(2,), commits=(commits,), tag=tag, first=ABSENT)
        made.read_once()
        return made

    assert_ok(build)


# Transactions that read a snapshot


def with_snapshot(server: Server, *, publish: bool) -> RowWorld:
    made = world(server, reads=(1,))
    made.add_snapshot_reader(publish=publish)
    return made


def test_a_snapshot_that_is_not_published_harms_nobody(server: Server) -> None:
    assert_ok(lambda: with_snapshot(server, publish=False))


def test_a_stale_value_is_found_when_a_snapshot_is_published(server: Server) -> None:
    assert explored(lambda: with_snapshot(server, publish=True)).wrong is not None


# These orders find what they are for


ONE_WRITER = {"reads": (1, 1)}
TWO_WRITERS = {"reads": (2,), "commits": (True, True)}


@pytest.mark.parametrize(
    ("name", "actors"),
    [
        ("a fill needs no token", ONE_WRITER),
        ("a fill takes any lease for its own", ONE_WRITER),
        ("a fill only respects marks", ONE_WRITER),
        ("begin merely deletes", ONE_WRITER),
        ("there is no begin", ONE_WRITER),
        ("begin forgets other writers", TWO_WRITERS),
        ("end forgets other writers", TWO_WRITERS),
    ],
)
def test_a_stale_read_is_found_when(server: Server, name: str, actors: dict[str, Any]) -> None:
    with mutants.changed(mutants.UNSAFE[name]):
        findings = explored(lambda: world(server, **actors))
    assert findings.wrong is not None


@pytest.mark.parametrize("name", ["there is no end", "end does not delete"])
def test_a_key_that_stays_uncached_is_found_when(server: Server, name: str) -> None:
    with mutants.changed(mutants.UNENDING[name]):
        findings = explored(lambda: world(server))
    assert "is left" in (findings.wrong or "")


@pytest.mark.parametrize("name", ["begin merely deletes", "there is no begin"])
def test_a_false_absence_is_found_when(server: Server, tag: Server, name: str) -> None:
    with mutants.changed(mutants.UNSAFE[name]):
        findings = explored(lambda: world(server, reads=(1, 1), tag=tag, first=ABSENT))
    assert findings.wrong is not None
