"""Checks of write-behind: buffers, their columns, and the server that they wait on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.core.checks import CheckMessage, run_checks
from django.db import models
from django.test import override_settings
from django.test.utils import isolate_apps

from django_cachepatterns import CachePolicy
from django_cachepatterns.checks import check_buffer, check_buffer_server, check_buffers
from django_cachepatterns.checks.buffers import check_columns
from django_cachepatterns.models import CachedModel
from django_cachepatterns.testing import assert_store_commands
from django_cachepatterns.write_behind import Counter, Draft, Leaderboard, registry
from django_cachepatterns.write_behind.boards import following
from example_project.servers import Valkey
from tests.testapp.models import Cart, Page

pytestmark = pytest.mark.django_db(databases=["default", "other"])


def ids(messages: Any) -> list[str]:
    found: list[CheckMessage] = list(messages)
    for message in found:
        assert message.hint or "Point" in message.msg or "Use" in message.msg, message
    return [str(message.id).removeprefix("cachepatterns.") for message in found]


def counted(policy: CachePolicy | None = None, base: Any = CachedModel, **attributes: Any) -> Any:
    """A model with a counter `n`, and whatever else."""
    body = {
        "__module__": "tests.testapp.models",
        "n": models.BigIntegerField(default=0),
        "counter": Counter("n"),
        **attributes,
    }
    if policy is not None:
        body["cache_policy"] = policy
    return type("Counted", (base,), body)


def of(**options: Any) -> Any:
    return {"counter": Counter("n", **options)}


@isolate_apps("tests.testapp")
@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({}, []),
        (of(flush_every=timedelta(minutes=1)), []),
        (of(flush_every=0), ["E040"]),
        (of(flush_every="5"), ["E040"]),
        (of(batch_rows=0), ["E041"]),
        (of(batch_rows=1.5), ["E041"]),
        (of(max_pending=-1), ["E041"]),
        (of(max_pending=0), []),
        (of(when_full="drop"), ["E042"]),
        ({"id": models.DecimalField(primary_key=True, max_digits=9, decimal_places=2)}, ["E043"]),
        ({"counter": Counter("m")}, ["E044"]),
        ({"n": models.DecimalField(max_digits=9, decimal_places=2)}, ["E045"]),
    ],
)
def test_a_buffer_by_itself(attributes: dict[str, Any], expected: list[str]) -> None:
    assert ids(check_buffer(counted(**attributes).counter)) == expected


def test_a_draft_beside_a_board_of_no_column_has_no_problem_of_its_own() -> None:
    draft = Draft(Cart, fields=["items"])
    board = Leaderboard("odd", model=Cart, field="nothing")
    try:
        assert ids(check_buffer(draft)) == []
        assert ids(check_buffer(board)) == ["E044"]
    finally:
        following.leave(board)
        registry.unregister(board)
        registry.unregister(draft)


@isolate_apps("tests.testapp")
@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [("m", "'m' is no column", "one of: n."), ("pk", "'pk' is the primary key", "such as n;")],
)
def test_who_names_no_column_to_count_in_is_told_which_are(
    name: str, message: str, hint: str
) -> None:
    slot = models.IntegerField(unique=True)
    (error,) = check_buffer(counted(counter=Counter(name), slot=slot).counter)
    assert message in error.msg
    assert hint in str(error.hint)


@isolate_apps("tests.testapp")
def test_an_error_names_the_buffer_and_its_model() -> None:
    model = counted(**of(flush_every=0))
    (error,) = check_buffer(model.counter)
    assert error.msg.startswith("testapp.Counted.n: flush_every is 0;")
    assert error.obj is model


@isolate_apps("tests.testapp")
@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"policy": CachePolicy(lookups=["n"])}, ["E053"]),
        ({"policy": CachePolicy(lookups=[("slug", "n")])}, ["E053"]),
        ({"policy": CachePolicy(indexes=["n"])}, ["E053"]),
        ({"policy": CachePolicy(lookups=["slug"], indexes=["other"])}, []),
        ({"n": models.IntegerField(unique=True)}, ["E053"]),
        (
            {"n": models.IntegerField(unique=True), "policy": CachePolicy(lookups=["n"])},
            ["E053"] * 2,
        ),
    ],
)
def test_a_column_by_whose_values_rows_are_found(
    attributes: dict[str, Any], expected: list[str]
) -> None:
    columns = {"slug": models.SlugField(unique=True), "other": models.IntegerField(default=0)}
    assert ids(check_buffer(counted(**columns, **attributes).counter)) == expected


@isolate_apps("tests.testapp")
def test_a_column_that_a_child_finds_its_rows_by(monkeypatch: pytest.MonkeyPatch) -> None:
    parent = counted()
    child = type(
        "Child",
        (parent,),
        {"__module__": "tests.testapp.models", "cache_policy": CachePolicy(indexes=["n"])},
    )
    monkeypatch.setattr("django.apps.apps.get_models", lambda: [parent, child])
    (error,) = check_buffer(parent.counter)
    assert error.id == "cachepatterns.E053"
    assert "indexes of testapp.Child" in error.msg


@isolate_apps("tests.testapp")
def test_two_counters_on_one_column(monkeypatch: pytest.MonkeyPatch) -> None:
    model = counted(again=Counter("n", flush_every=1))
    monkeypatch.setattr("django.apps.apps.get_models", lambda: [model])
    assert "E052" in ids(check_buffers())


def test_a_counter_and_a_board_on_one_column() -> None:
    board = Leaderboard("most-viewed", model=Page, field="views")
    try:
        (error,) = check_columns([Page.view_counter, Page.like_counter, board])
    finally:
        registry.unregister(board)
    assert error.id == "cachepatterns.E052"
    assert "Counter 'testapp.Page.views' and Leaderboard 'most-viewed'" in error.msg


@isolate_apps("tests.testapp")
def test_an_inherited_counter_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    parent = counted()
    child = type("Child", (parent,), {"__module__": "tests.testapp.models"})
    monkeypatch.setattr("django.apps.apps.get_models", lambda: [parent, child])
    assert "E052" not in ids(check_buffers())


class NoLedger:
    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        return app_label != "django_cachepatterns"


@isolate_apps("tests.testapp")
@override_settings(DATABASE_ROUTERS=[NoLedger()])
def test_a_database_without_a_ledger() -> None:
    (error,) = check_buffer(counted().counter)
    assert error.id == "cachepatterns.E055"
    assert "migrate --database default" in str(error.hint)


PYMEMCACHE = {
    "BACKEND": "django.core.cache.backends.memcached.PyMemcacheCache",
    "LOCATION": "127.0.0.1:1",
}
LOCMEM = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}


@pytest.mark.parametrize("cache", [PYMEMCACHE, LOCMEM])
def test_a_cache_that_cannot_seal(settings: Any, cache: dict[str, str]) -> None:
    settings.CACHES = {**settings.CACHES, "default": cache}
    kind = cache["BACKEND"].rpartition(".")[2]
    errors = {each.msg: each.id for each in check_buffers()}
    assert errors[
        f"Policy 'testapp.Page.views' is write-behind but cache 'default' ({kind}) cannot seal "
        "batches. Point BUFFER_CACHE at Redis or Valkey."
    ] == ("cachepatterns.E054")
    assert len(errors) == len(registry.buffers())
    assert list(check_buffer_server()) == []


@pytest.mark.parametrize(
    ("alias", "backend", "says"),
    [
        ("nowhere", None, "which is not in CACHES"),
        ("odd", "nowhere.at.all.Cache", "BUFFER_CACHE cannot be used: "),
        ("odd", "django_redis.cache.RedisCache", "ShardClient"),
    ],
)
def test_a_cache_that_cannot_be_used(
    settings: Any, alias: str, backend: str | None, says: str
) -> None:
    odd = {
        "BACKEND": backend or LOCMEM["BACKEND"],
        "LOCATION": "redis://127.0.0.1:1/0",
        "OPTIONS": {"CLIENT_CLASS": "django_redis.client.ShardClient"} if backend else {},
    }
    settings.CACHES = {**settings.CACHES, "odd": odd}
    settings.CACHEPATTERNS = {**settings.CACHEPATTERNS, "BUFFER_CACHE": alias}
    (error,) = check_buffers()
    assert ids([error]) == ["E054"]
    assert says in error.msg
    assert list(check_buffer_server()) == []


# The server


@pytest.fixture
def server(own_valkey: Valkey, settings: Any) -> Iterator[redis.Redis]:
    """A server of the test's own for buffers, as it may be configured."""
    buffers = {**settings.CACHES["default"], "LOCATION": own_valkey.url}
    settings.CACHES = {**settings.CACHES, "buffers": buffers}
    settings.CACHEPATTERNS = {**settings.CACHEPATTERNS, "BUFFER_CACHE": "buffers"}
    with redis.Redis.from_url(own_valkey.url) as client:
        yield client


def keep_a_log(server: redis.Redis) -> None:
    server.config_set("appendonly", "yes")
    # It does not let itself be shut down before the log has begun.
    while server.info("persistence")["aof_rewrite_in_progress"]:
        time.sleep(0.01)


def test_a_server_that_loses_nothing(server: redis.Redis) -> None:
    keep_a_log(server)
    assert ids(check_buffer_server()) == []


def test_a_server_that_takes_snapshots(server: redis.Redis) -> None:
    server.config_set("save", "3600 1")
    assert ids(check_buffer_server()) == []


def test_a_server_without_persistence(server: redis.Redis) -> None:
    (warning,) = check_buffer_server()
    assert warning.id == "cachepatterns.W007"
    assert "BUFFER_CACHE 'buffers'" in warning.msg
    assert "all that waits to be flushed is lost" in warning.msg


@pytest.mark.parametrize(
    ("policy", "memory", "expected", "says"),
    [
        ("allkeys-lru", "100mb", "W005", "evicts what waits"),
        ("volatile-ttl", "100mb", "W005", "counts twice"),
        ("allkeys-lru", "0", "W006", "as soon as that is set"),
        ("noeviction", "100mb", None, None),
    ],
)
def test_a_server_that_may_evict(
    server: redis.Redis, policy: str, memory: str, expected: str | None, says: str | None
) -> None:
    keep_a_log(server)
    server.config_set("maxmemory", memory)
    server.config_set("maxmemory-policy", policy)
    found = list(check_buffer_server())
    assert ids(found) == ([expected] if expected else [])
    if found:
        assert str(says) in found[0].msg
        assert policy in found[0].msg


def test_a_server_that_does_not_let_its_settings_be_asked(server: redis.Redis) -> None:
    server.execute_command("ACL SETUSER", "default", "-config")
    (warning,) = check_buffer_server()
    assert warning.id == "cachepatterns.W007", warning.msg
    assert "cannot be asked for" in warning.msg


def test_a_server_that_does_not_let_itself_be_asked(server: redis.Redis) -> None:
    server.execute_command("ACL SETUSER", "default", "-info")
    (warning,) = check_buffer_server()
    assert warning.id == "cachepatterns.W008"
    assert "NoPermissionError" in warning.msg
    assert "INFO" in str(warning.hint)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("fault", ["kill", "pause"])
def test_a_server_that_is_away_is_a_warning_and_takes_no_time(
    server: redis.Redis, own_valkey: Valkey, fault: str
) -> None:
    getattr(own_valkey, fault)()
    began = time.monotonic()
    assert ids(check_buffer_server()) == ["W008"]
    assert time.monotonic() - began < 2


def test_nothing_is_asked_where_there_is_no_buffer(
    server: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "every", list)
    with assert_store_commands(0):
        assert list(check_buffer_server()) == []
        assert list(check_buffers()) == []


def test_the_checks_are_run_with_all_others(server: redis.Redis) -> None:
    assert "cachepatterns.W007" in {each.id for each in run_checks()}
    keep_a_log(server)
    assert "cachepatterns.W007" not in {each.id for each in run_checks()}


def test_a_name_that_the_ledger_has_no_room_for() -> None:
    board = Leaderboard("b" * 201, model=Page, field="views")
    try:
        assert [each.code for each in board.problems()] == ["E056"]
    finally:
        registry.unregister(board)
