"""An entry that depends on tags, read by the real `Reader`, in every order with writers."""

from __future__ import annotations

import pytest

from . import mutants, readers
from .rows import RowWorld
from .schedules import Actor, every_schedule
from .server import Entry, Server
from .stepwise import Stepwise
from .test_reader import assert_ok, explored, is_stale


class TagWorld(RowWorld):
    """A value that depends on a tag, or on two; writers mark the last one."""

    def __init__(self, server: Server, *tags: Server, marks_entry: bool = False) -> None:
        marked = [server, tags[-1]] if marks_entry else [tags[-1]]
        super().__init__(server, depends=tags, marked=marked)


def world(
    server: Server,
    tag: Server,
    *,
    reads: tuple[int, ...] = (1,),
    commits: tuple[bool, ...] = (True,),
    evicts: tuple[Server, ...] = (),
    marks_entry: bool = False,
) -> TagWorld:
    made = TagWorld(server, tag, marks_entry=marks_entry)
    for number in reads:
        made.add_reader(number)
    for number, commit in enumerate(commits, 1):
        made.add_writer(f"v{number}", commits=commit)
    for place in evicts:
        made.add_evictor(place)
    return made


@pytest.mark.parametrize("marks_entry", [False, True])
@pytest.mark.parametrize("commits", [True, False])
def test_a_reader_a_writer_and_evictions_in_every_order(
    server: Server, tag: Server, commits: bool, marks_entry: bool
) -> None:
    assert_ok(
        lambda: world(
            server,
            tag,
            reads=(2,),
            commits=(commits,),
            evicts=(server, tag),
            marks_entry=marks_entry,
        )
    )


@pytest.mark.parametrize("marks_entry", [False, True])
def test_two_readers_and_a_writer_in_every_order(
    server: Server, tag: Server, marks_entry: bool
) -> None:
    assert_ok(lambda: world(server, tag, reads=(1, 1), marks_entry=marks_entry))


def test_two_readers_a_writer_and_a_crash_in_every_order(server: Server, tag: Server) -> None:
    def build() -> TagWorld:
        made = world(server, tag, reads=(1, 1))
        made.read_once()
        return made

    assert_ok(build, crashes=True)


def test_a_reader_and_two_writers_in_every_order(server: Server, tag: Server) -> None:
    assert_ok(lambda: world(server, tag, reads=(2,), commits=(True, True)))


def test_a_remembered_value_a_reader_and_two_writers_in_every_order(
    server: Server, tag: Server
) -> None:
    def build() -> TagWorld:
        made = world(server, tag, reads=(1,), commits=(True, False))
        made.read_once()
        return made

    assert_ok(build)


def test_the_tag_of_a_remembered_value_is_evicted_in_every_order(
    server: Server, tag: Server
) -> None:
    def build() -> TagWorld:
        made = world(server, tag, reads=(2,), evicts=(tag,))
        made.read_once()
        return made

    assert_ok(build)


@pytest.mark.parametrize("garbage", ["noise", "empty"])
def test_a_tag_that_is_garbage_in_every_order(server: Server, tag: Server, garbage: str) -> None:
    def build() -> TagWorld:
        made = world(server, tag, reads=(2,))
        tag.restore(Entry("?", garbage))
        return made

    assert_ok(build)


def test_a_value_that_depends_on_two_tags_in_every_order(server: Server, tag: Server) -> None:
    def build() -> TagWorld:
        made = TagWorld(server, server.beside("other"), tag)
        made.add_reader(2)
        made.add_writer("v1")
        made.add_evictor(made.depends[0])
        return made

    assert_ok(build, crashes=True)


class MarksOneByOne(TagWorld):
    """Its writers mark the tag and the entry, and end both, by a command each."""

    def _write(self, actor: Actor, version: str, commits: bool) -> None:
        writer, store = self.server.token(actor.name), Stepwise(actor, self)
        for key in self.marked:
            store.begin_write([key], writer, 60_000)
        if commits:
            self.commit(actor, version)
        for key in self.marked:
            store.end_write([key], writer)


@pytest.mark.parametrize("entry_first", [True, False])
def test_marks_that_come_and_go_one_by_one_in_every_order(
    server: Server, tag: Server, entry_first: bool
) -> None:
    def build() -> TagWorld:
        made = MarksOneByOne(server, tag, marks_entry=True)
        if not entry_first:
            made.marked.reverse()
        made.add_reader()
        made.add_reader()
        made.add_writer("v1")
        return made

    assert_ok(build)


# These orders find what they are for


@pytest.mark.parametrize("name", readers.UNSAFE)
def test_a_stale_read_is_found_when(server: Server, tag: Server, name: str) -> None:
    with readers.replaced(*readers.UNSAFE[name]):
        findings = explored(lambda: world(server, tag, reads=(2, 1)))
    assert is_stale(findings), findings


@pytest.mark.parametrize("name", ["begin merely deletes", "there is no begin"])
def test_a_stale_read_is_found_when_writers_mark_no_tags(
    server: Server, tag: Server, name: str
) -> None:
    with mutants.changed(mutants.UNSAFE[name]):
        findings = explored(lambda: world(server, tag, reads=(1, 1)))
    assert is_stale(findings), findings


@pytest.mark.parametrize("name", ["begin forgets other writers", "end forgets other writers"])
def test_a_stale_read_is_found_when_one_of_two_writers_is_forgotten(
    server: Server, tag: Server, name: str
) -> None:
    with mutants.changed(mutants.UNSAFE[name]):
        findings = explored(lambda: world(server, tag, reads=(2,), commits=(True, True)))
    assert is_stale(findings), findings


@pytest.mark.parametrize("name", ["there is no end", "end does not delete"])
def test_a_value_that_is_never_cached_again_is_found_when(
    server: Server, tag: Server, name: str
) -> None:
    with mutants.changed(mutants.UNENDING[name]):
        findings = explored(lambda: world(server, tag))
    assert "is left though nobody is at it" in (findings.wrong or ""), findings


class GivesBackTheOldVersion(TagWorld):
    """Its writers end with the version that the tag had before."""

    def _write(self, actor: Actor, version: str, commits: bool) -> None:
        store = Stepwise(actor, self)
        key = self.marked[0]
        before = actor.do("looks at the tag", lambda: self.depends[0].look())
        store.begin_write([key], self.server.token(actor.name), 60_000)
        self.commit(actor, version)
        actor.do("ends", lambda: self.depends[0].restore(before))


def test_a_stale_read_is_found_when_a_version_comes_back(server: Server, tag: Server) -> None:
    def build() -> TagWorld:
        made = GivesBackTheOldVersion(server, tag)
        made.add_reader()
        made.add_writer("v1")
        return made

    findings = every_schedule(build)
    assert is_stale(findings), findings
