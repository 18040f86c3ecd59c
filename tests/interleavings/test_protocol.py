"""Every order of the protocol's steps is safe, and leaves the key cacheable."""

from __future__ import annotations

import random

import pytest

from .explorer import Report, Step, explore
from .protocol import DAMAGED_MARK, GONE, STARTS, Protocol
from .server import Entry, Server


class FreshAfterTheEnd(Protocol):
    """What is promised still where marks may be lost."""

    promise = "end"


def assert_ok(report: Report) -> None:
    print(report)
    assert report.wrong is None, report


def test_two_readers_and_two_writers_in_every_order(server: Server) -> None:
    report = explore(Protocol(server, starts=STARTS))
    assert_ok(report)
    assert report.states > 100_000
    assert server.distinct_steps > 150


def test_three_readers_and_a_writer_in_every_order(server: Server) -> None:
    assert_ok(explore(Protocol(server, readers=3, reads=1, writers=1, starts=STARTS)))


def test_a_reader_and_three_writers_in_every_order(server: Server) -> None:
    assert_ok(explore(Protocol(server, readers=1, reads=1, writers=3, starts=STARTS)))


def test_a_damaged_mark_in_every_order(server: Server) -> None:
    assert_ok(explore(Protocol(server, reads=1, starts=[DAMAGED_MARK])))


@pytest.mark.parametrize("hole", ["marks_are_lost", "live_writers_lapse"])
def test_a_lost_mark_is_the_one_hole_and_it_closes_at_the_end(server: Server, hole: str) -> None:
    """What is not promised: see it fail, so that it is known when it is promised."""
    options = {hole: True}
    report = explore(Protocol(server, **options))  # type: ignore[arg-type]
    print(report)
    assert report.wrong == "r1 read v0 though v1 was committed before it began"
    commit = report.trace.index("w1 commits")
    assert "w1 ends" not in report.trace[commit:]
    after_end = FreshAfterTheEnd(server, readers=2, reads=1, **options)  # type: ignore[arg-type]
    assert_ok(explore(after_end))


@pytest.mark.parametrize("seed", range(4))
def test_the_explored_steps_are_those_of_uninterrupted_runs(server: Server, seed: int) -> None:
    """On a key of its own nothing is restored: what the exploration expects follows by itself."""
    chance = random.Random(seed)
    model = Protocol(server, readers=2, reads=3, writers=2, starts=STARTS)
    live = Server(server.store, server.client, server.key + b":live")
    for _ in range(60):
        _, state = chance.choice(list(model.starts()))
        live.restore(state.entry)
        while steps := list(model.steps(state)):
            step = chance.choice(steps)
            answer = follow(live, step)
            state, before = step.state, state
            assert live.look() == state.entry, step.name
            if isinstance(step.did, tuple):
                assert answer == server.after(before.entry, step.did).answer, step.name
        assert all(reader == GONE for reader in state.readers)


def follow(live: Server, step: Step) -> object:
    """Do what a step of the model does; an accident is done by hand."""
    if step.did == "accident":
        live.restore(step.state.entry)
    elif step.did is not None:
        return live.do(step.did).answer
    return None


def test_an_entry_that_is_put_back_is_the_one_that_was_there(server: Server) -> None:
    writers = (("w1", True), ("w2", False))
    for wanted in [
        *STARTS,
        DAMAGED_MARK,
        Entry("L", "r1"),
        Entry("W", writers),
        Entry("V", "v2", False),
    ]:
        server.restore(wanted)
        assert server.look() == wanted
