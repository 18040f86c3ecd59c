"""Stale values that are served while they are loaded anew, in every order with writers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from . import mutants, readers
from .rows import INLINE, LATE, REFRESHING, RowWorld
from .server import Server
from .test_reader import assert_ok, explored, is_stale

pytestmark = pytest.mark.usefixtures("_nobody_refreshes_later")


def stale(server: Server, tag: Server | None = None, *, inline: bool = False) -> RowWorld:
    """A value past its soft expiry, which depends on a tag or on nothing."""
    policy = INLINE if inline else REFRESHING
    if tag is None:
        made = RowWorld(server, policy=policy)
        server.put_stale("v0")
    else:
        made = RowWorld(server, depends=[tag], marked=[tag], policy=policy)
        tag.client.set(tag.key, b"T" + tag.token("version 0"), px=60_000)
        server.put_stale("v0", "version 0")
    return made


@pytest.fixture(params=["a row", "a value that depends on a tag"])
def build(request: pytest.FixtureRequest, server: Server, tag: Server) -> Callable[..., RowWorld]:
    """Makes the world of one kind of entry."""
    chosen = None if request.param == "a row" else tag
    return lambda **options: stale(server, chosen, **options)


@pytest.mark.parametrize("commits", [True, False])
def test_a_refresh_a_reader_and_a_writer_in_every_order(
    build: Callable[..., RowWorld], commits: bool
) -> None:
    def make() -> RowWorld:
        made = build()
        made.add_refresher()
        made.add_reader()
        made.add_writer("v1", commits=commits)
        return made

    assert_ok(make, crashes=commits)


def test_two_refreshes_and_a_writer_in_every_order(build: Callable[..., RowWorld]) -> None:
    def make() -> RowWorld:
        made = build()
        made.add_refresher()
        made.add_refresher()
        made.add_writer("v1")
        return made

    assert_ok(make, crashes=True)


def test_a_refresh_and_two_writers_in_every_order(build: Callable[..., RowWorld]) -> None:
    def make() -> RowWorld:
        made = build()
        made.add_refresher()
        made.add_writer("v1")
        made.add_writer("v2", commits=False)
        return made

    assert_ok(make)


def test_a_refresh_and_evictions_in_every_order(build: Callable[..., RowWorld]) -> None:
    def make() -> RowWorld:
        made = build()
        made.add_refresher()
        made.add_writer("v1")
        for place in made.places:
            made.add_evictor(place)
        return made

    assert_ok(make)


def test_a_reader_that_refreshes_by_itself_in_every_order(build: Callable[..., RowWorld]) -> None:
    def make() -> RowWorld:
        made = build(inline=True)
        made.add_reader()
        made.add_reader()
        made.add_writer("v1")
        return made

    assert_ok(make, crashes=not build().depends)


def overtaken(server: Server, tag: Server | None = None) -> RowWorld:
    """A refresh that takes so long that it has failed, and another that is begun then."""
    made = stale(server, tag)
    made.add_refresher()
    made.add_reader()
    made.add_refresher(LATE)
    made.add_writer("v1")
    return made


def test_a_refresh_that_overtakes_another_in_every_order(server: Server) -> None:
    assert_ok(lambda: overtaken(server))


# These orders find what they are for


@pytest.mark.parametrize("name", mutants.UNSAFE_FOR_REFRESHES)
def test_a_stale_read_is_found_when(server: Server, name: str) -> None:
    with mutants.changed(mutants.UNSAFE_FOR_REFRESHES[name]):
        findings = explored(lambda: overtaken(server))
    assert is_stale(findings), findings


@pytest.mark.parametrize("name", readers.UNSAFE)
def test_a_stale_read_of_what_depends_on_a_tag_is_found_when(
    server: Server, tag: Server, name: str
) -> None:
    with readers.replaced(*readers.UNSAFE[name]):
        findings = explored(lambda: overtaken(server, tag))
    assert is_stale(findings), findings
