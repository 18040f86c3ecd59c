"""Write-through: what was committed is stored in the place of its mark, in every order."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from . import mutants, readers
from .server import Entry, Server
from .test_reader import assert_ok, explored, is_stale
from .written import WrittenWorld, delivered_stepwise


@pytest.fixture(autouse=True)
def _stepwise() -> Iterator[None]:
    with delivered_stepwise():
        yield


def world(
    server: Server,
    *,
    reads: tuple[int, ...] = (),
    commits: tuple[bool, ...] = (True, True),
    plain: int = 0,
) -> WrittenWorld:
    """Readers, writers that write through, and others that merely write."""
    made = WrittenWorld(server)
    server.restore(Entry("V", "v0"))
    for number in reads:
        made.add_reader(number)
    for number, commit in enumerate(commits, 1):
        made.add_write_through(f"v{number}", commits=commit)
    for number in range(plain):
        made.add_writer(f"v{len(commits) + number + 1}")
    return made


def test_what_was_committed_is_stored(server: Server) -> None:
    made = world(server, commits=(True,))
    while not made.actors[0].done:
        made.actors[0].go()
    assert made.actors[0].error is None
    assert server.look() == Entry("V", "v1")


def test_what_was_rolled_back_is_not_read_again(server: Server) -> None:
    made = world(server, commits=(False,))
    while not made.actors[0].done:
        made.actors[0].go()
    assert [step for step, _ in made.actors[0].seen] == ["begins", "ends"]  # type: ignore[misc]
    assert server.look() is None


@pytest.mark.parametrize("commits", [True, False])
def test_a_writer_and_two_readers_in_every_order(server: Server, commits: bool) -> None:
    assert_ok(lambda: world(server, reads=(1, 1), commits=(commits,)))


def test_a_writer_a_reader_crashes_and_an_eviction_in_every_order(server: Server) -> None:
    def build() -> WrittenWorld:
        made = world(server, reads=(2,), commits=(True,))
        made.add_evictor()
        return made

    assert_ok(build, crashes=True)


def test_two_writers_in_every_order(server: Server) -> None:
    assert_ok(lambda: world(server), crashes=True)


def test_two_writers_and_a_reader_in_every_order(server: Server) -> None:
    assert_ok(lambda: world(server, reads=(1,)))


def test_a_writer_that_commits_and_one_that_does_not_in_every_order(server: Server) -> None:
    assert_ok(lambda: world(server, reads=(1,), commits=(True, False)), crashes=True)


def test_three_writers_in_every_order(server: Server) -> None:
    assert_ok(lambda: world(server, plain=1))


def test_a_writer_that_stores_and_one_that_deletes_in_every_order(server: Server) -> None:
    assert_ok(lambda: world(server, reads=(1,), commits=(True,), plain=1))


# These orders find what they are for


@pytest.mark.parametrize("name", mutants.UNSAFE_FOR_INSTALLS)
def test_a_stale_read_is_found_when(server: Server, name: str) -> None:
    with mutants.changed(mutants.UNSAFE_FOR_INSTALLS[name]):
        findings = explored(lambda: world(server, reads=(1,)))
    assert is_stale(findings), findings


def test_a_mark_that_stays_is_found_when_a_refused_install_leaves_it(server: Server) -> None:
    with mutants.changed(mutants.LEAVES_A_MARK_AFTER_A_REFUSED_INSTALL):
        findings = explored(lambda: world(server))
    assert "is left though nobody is at it" in (findings.wrong or ""), findings


@pytest.mark.parametrize("name", readers.UNSAFE_INSTALLS)
def test_a_stale_read_is_found_when_in_code(server: Server, name: str) -> None:
    with readers.replaced(*readers.UNSAFE_INSTALLS[name]):
        findings = explored(lambda: world(server, reads=(1,)))
    assert is_stale(findings), findings
