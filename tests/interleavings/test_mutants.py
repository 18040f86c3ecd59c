"""Take any part of the protocol away, and the exploration finds what it was for."""

from __future__ import annotations

import pytest
import redis
from django.conf import settings

from django_cachepatterns.stores import RedisStore
from django_cachepatterns.stores.pool import make_pool

from . import mutants
from .explorer import Report, explore
from .protocol import OLD, Protocol
from .server import Entry, Server
from .test_protocol import FreshAfterTheEnd

STARTS = (None, Entry("V", OLD), Entry("?", "another schema's value"))


def assert_unsafe(report: Report) -> None:
    """Whether a read gave an old or uncommitted version, or would."""
    print(report)
    assert report.wrong is not None, f"not found in {report.states} states"
    assert " read v" in report.wrong or "was committed" in report.wrong, report
    assert len(report.trace) <= 16, report


def assert_unending(report: Report) -> None:
    """Whether the key was left in a state in which it is not cached again."""
    print(report)
    assert report.wrong is not None, f"not found in {report.states} states"
    assert "nobody writes" in report.wrong or "when all has lapsed" in report.wrong, report


@pytest.mark.parametrize("name", mutants.UNSAFE)
def test_a_stale_read_is_found_when(server: Server, name: str) -> None:
    with mutants.changed(mutants.UNSAFE[name]):
        assert_unsafe(explore(Protocol(server, starts=STARTS)))


@pytest.mark.parametrize("name", mutants.UNENDING)
def test_a_key_that_is_never_cached_again_is_found_when(server: Server, name: str) -> None:
    with mutants.changed(mutants.UNENDING[name]):
        assert_unending(explore(Protocol(server, starts=STARTS)))


def mutated(kind: type[RedisStore], client: redis.Redis) -> Server:
    store = kind(make_pool("default", 5))
    return Server(store, client, settings.KEY_PREFIX.encode() + b":mutated")


def test_a_stale_read_is_found_when_leases_are_stolen(redis_client: redis.Redis) -> None:
    assert_unsafe(explore(Protocol(mutated(mutants.StealingLeases, redis_client))))


def test_a_key_that_is_never_cached_again_is_found_when_leases_do_not_lapse(
    redis_client: redis.Redis,
) -> None:
    assert_unending(explore(Protocol(mutated(mutants.EverlastingLeases, redis_client))))


def test_a_stale_value_is_found_when_the_end_installs_its_own_row(
    redis_client: redis.Redis,
) -> None:
    server = mutated(mutants.OwnRowInstalled, redis_client)
    versions = {"w1": "v1", "w2": "v2"}
    server.store.rows = {  # type: ignore[attr-defined]
        server.token(writer): server.value(version) for writer, version in versions.items()
    }
    assert_unsafe(explore(Protocol(server)))


def test_a_stale_value_is_found_when_the_end_leaves_what_stands_in_the_place_of_its_mark(
    server: Server,
) -> None:
    """What makes the one hole close at the end."""
    with mutants.changed(mutants.LEAVES_A_FILL_UNDER_A_LOST_MARK):
        assert_unsafe(explore(FreshAfterTheEnd(server, marks_are_lost=True)))


# Readers and writers that take the steps in another order


class LoadsFirst(Protocol):
    load_first = True


class MarksAfterTheCommit(Protocol):
    order = ("write", "commit", "begin", "end")


class DeletesAfterTheCommit(Protocol):
    """What most do: a signal, or `on_commit`."""

    order = ("write", "commit", "end")


class EndsBeforeTheCommit(Protocol):
    order = ("begin", "write", "end", "commit")


class NeverEnds(Protocol):
    order = ("begin", "write", "commit")
    end_after_rollback = False


class DoesNotEndAfterRollback(Protocol):
    end_after_rollback = False


@pytest.mark.parametrize(
    "order", [LoadsFirst, MarksAfterTheCommit, DeletesAfterTheCommit, EndsBeforeTheCommit]
)
def test_a_stale_read_is_found_with_the_order_of(server: Server, order: type[Protocol]) -> None:
    assert_unsafe(explore(order(server)))


@pytest.mark.parametrize("order", [NeverEnds, DoesNotEndAfterRollback])
def test_a_key_that_stays_uncached_is_found_with_the_order_of(
    server: Server, order: type[Protocol]
) -> None:
    assert_unending(explore(order(server)))


def test_a_store_that_is_not_changed_passes(server: Server) -> None:
    with mutants.changed([]):
        report = explore(Protocol(server, readers=1))
    assert report.wrong is None, report
