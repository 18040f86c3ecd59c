"""Rows that a cached query gives are stored, in every order with writers of theirs."""

from __future__ import annotations

import pytest

from django_cachepatterns import entry
from django_cachepatterns.orm.listed import ListedRows
from django_cachepatterns.reader import Reader

from . import mutants
from .lists import ListWorld, Rows
from .schedules import Actor
from .server import Server
from .stepwise import Stepwise
from .test_reader import assert_ok, explored, is_stale


def world(
    server: Server,
    tag: Server,
    kind: type[ListWorld] = ListWorld,
    *,
    reads: int = 0,
    commits: tuple[bool, ...] = (True,),
    only_freshness: bool = False,
) -> ListWorld:
    made = kind(server, tag)
    made.only_freshness = only_freshness
    made.add_lister()
    for _ in range(reads):
        made.add_reader()
    for number, commit in enumerate(commits, 1):
        made.add_writer(f"v{number}", commits=commit)
    return made


def test_what_a_query_gave_is_stored(server: Server, tag: Server) -> None:
    made = world(server, tag, commits=())
    while not made.actors[0].done:
        made.actors[0].go()
    assert made.actors[0].error is None
    assert [str(place.look())[0] for place in made.places] == ["V", "T", "V"]


@pytest.mark.parametrize("commits", [True, False])
def test_a_query_and_a_writer_in_every_order(server: Server, tag: Server, commits: bool) -> None:
    assert_ok(lambda: world(server, tag, commits=(commits,)), crashes=True)


def test_a_query_two_writers_and_a_reader_in_every_order(server: Server, tag: Server) -> None:
    assert_ok(lambda: world(server, tag, reads=1, commits=(True,)))


def test_a_query_and_two_writers_in_every_order(server: Server, tag: Server) -> None:
    assert_ok(lambda: world(server, tag, commits=(True, True)))


def test_a_query_a_writer_and_evictions_in_every_order(server: Server, tag: Server) -> None:
    def build() -> ListWorld:
        made = world(server, tag)
        made.add_evictor(tag)
        made.add_evictor(server)
        return made

    assert_ok(build)


# These orders find what they are for


class OffersUnderNoTags(ListWorld):
    """Nothing says that no write has come in between."""

    def offer(self, actor: Actor, store: Stepwise, row: str, lister: Reader[str, str]) -> None:
        ListedRows(Rows(self, store)).offer([row], {})  # type: ignore[arg-type, list-item]


class OffersUnderTagsOfAfterTheQuery(ListWorld):
    def offer(self, actor: Actor, store: Stepwise, row: str, lister: Reader[str, str]) -> None:
        fresh = entry.tag(entry.new_token())
        _, found = store.lease([], b"", 1, [self.table.key], fresh)
        tags = {self.table.key: found[0]}
        ListedRows(Rows(self, store)).offer([row], tags)  # type: ignore[arg-type, list-item]


class MarksNoTags(ListWorld):
    """Its writers mark the row alone."""

    def __init__(self, server: Server, table: Server) -> None:
        super().__init__(server, table)
        self.marked = [server.key]


@pytest.mark.parametrize("kind", [OffersUnderNoTags, OffersUnderTagsOfAfterTheQuery, MarksNoTags])
def test_an_old_row_is_found_with(server: Server, tag: Server, kind: type[ListWorld]) -> None:
    findings = explored(lambda: world(server, tag, kind, only_freshness=True))
    assert is_stale(findings), findings


@pytest.mark.parametrize("name", ["a fill needs no token", "begin merely deletes"])
def test_an_old_row_is_found_when(server: Server, tag: Server, name: str) -> None:
    with mutants.changed(mutants.UNSAFE[name]):
        findings = explored(lambda: world(server, tag, reads=1, only_freshness=True))
    assert is_stale(findings), findings
