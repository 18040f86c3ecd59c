"""Warming: what gets into the cache, what is left alone, and what must not get in."""

from __future__ import annotations

import gc
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from time import monotonic
from typing import Any

import pytest
import redis
from django.db import OperationalError, connection, transaction
from django.test.utils import isolate_apps

from django_cachepatterns import hooks, metrics
from django_cachepatterns.conf import as_tenant, config
from django_cachepatterns.dropping import drop_entries
from django_cachepatterns.exceptions import PolicyError, StoreUnavailable
from django_cachepatterns.models import CachedModel
from django_cachepatterns.testing import assert_store_commands, outage
from django_cachepatterns.warming import Progress, Unwarmable, Warmed, warm
from tests.testapp.models import (
    Building,
    Cafe,
    Everything,
    Item,
    Label,
    School,
    Shelf,
    TextRow,
    UuidRow,
    Versioned,
)

pytestmark = pytest.mark.django_db(transaction=True)


def items(count: int) -> list[int]:
    """Primary keys of new items, none of which is cached."""
    made = [Item(name=f"n{n}", slug=f"s{n}", place=n, stock=n) for n in range(count)]
    return [item.pk for item in Item.objects.bulk_create(made)]


def behind(sql: str, *arguments: Any) -> None:
    """Write behind the library's back."""
    with connection.cursor() as cursor:
        cursor.execute(sql, arguments)


def key(model: Any, end: Any) -> str:
    return f"{config().key_space().root}:{model._meta.label_lower}:{end}"


def no_sql() -> Any:
    """Reads in this block must be hits."""
    from django.test.utils import CaptureQueriesContext

    return CaptureQueriesContext(connection)


def test_every_row_is_a_hit_afterwards() -> None:
    pks = items(250)
    done = warm(Item)
    assert done.finished
    assert (done.total.looked_at, done.total.filled, done.total.pointers) == (250, 250, 250)
    with no_sql() as asked:
        assert [Item.objects.get(pk=pk).stock for pk in pks] == list(range(250))
        assert [row.pk for row in Item.objects.filter(pk__in=pks)] == pks
        assert Item.objects.get(slug="s7").stock == 7
    assert len(asked) == 0


def test_what_a_warmed_row_holds_is_what_the_database_holds() -> None:
    """A column of every kind, and rows of many values."""
    made = Everything.objects.create(
        integer=3, decimal="1.50", json={"a": [1, None]}, commas=["a", "b"], ints=[1, None]
    )
    empty = Everything.objects.create()
    assert warm(Everything).total.filled == 2
    for pk in (made.pk, empty.pk):
        found, row = Everything.objects.get(pk=pk), Everything.objects.nocache().get(pk=pk)
        for field in Everything._meta.concrete_fields:
            assert getattr(found, field.attname) == getattr(row, field.attname), field


@pytest.mark.parametrize("model", [UuidRow, TextRow, Versioned, Shelf])
def test_keys_and_versions_of_every_kind(model: Any) -> None:
    if model is TextRow:
        made = [TextRow(code=code) for code in ("a", "B", "ä", "with space", "x" * 150)]
        rows = TextRow.objects.bulk_create(made)
    else:
        rows = [model.objects.create() for _ in range(5)]
    assert warm(model).total.filled == 5
    assert warm(model).total.valid == 5
    with no_sql() as asked:
        assert [model.objects.get(pk=row.pk) for row in rows] == rows
    assert len(asked) == 0


def test_rows_of_multi_table_children() -> None:
    cafe = Cafe.objects.create(name="c", seats=3)
    school = School.objects.create(city="x", pupils=5)
    assert warm(Cafe, School).by_model.keys() == {"testapp.Cafe", "testapp.School"}
    with no_sql() as asked:
        assert Cafe.objects.get(pk=cafe.pk).name == "c"
        assert Cafe.objects.get(seats=3).name == "c"
        assert School.objects.get(pk=school.pk).city == "x"
    assert len(asked) == 0
    Building.objects.filter(pk=school.pk).update(city="y")
    assert School.objects.get(pk=school.pk).city == "y"


def test_usable_entries_are_left_alone(redis_client: redis.Redis) -> None:
    pks = items(5)
    Item.objects.get(pk=pks[0])
    before = redis_client.get(key(Item, pks[0]))
    behind("UPDATE testapp_item SET stock = 99")
    done = warm(Item)
    assert (done.total.valid, done.total.filled) == (1, 4)
    assert redis_client.get(key(Item, pks[0])) == before


def test_refresh_loads_them_anew_while_they_are_served(elsewhere: Callable[..., Any]) -> None:
    (pk,) = items(1)
    Item.objects.get(pk=pk)
    behind("UPDATE testapp_item SET stock = 99")
    seen = []

    def before_fill(_: Any) -> None:
        with hooks.listening():
            seen.append(elsewhere(lambda: Item.objects.get(pk=pk).stock))

    with hooks.listening(before_fill=before_fill):
        done = warm(Item, refresh=True)
    assert seen == [0]
    assert (done.total.filled, done.total.valid) == (1, 0)
    with no_sql() as asked:
        assert Item.objects.get(pk=pk).stock == 99
    assert len(asked) == 0


def test_useless_entries_are_replaced(redis_client: redis.Redis) -> None:
    pks = items(4)
    root = key(Item, "")
    redis_client.set(f"{root}{pks[0]}", b"garbage")
    redis_client.set(f"{root}{pks[1]}", b"")
    redis_client.rpush(f"{root}{pks[2]}", b"a list")
    assert warm(Item).total.filled == 4
    with no_sql() as asked:
        Item.objects.in_bulk(pks)
    assert len(asked) == 0


def test_a_lapsed_version_is_no_usable_entry() -> None:
    row = Versioned.objects.create(n=1)
    warm(Versioned)
    Versioned.objects.create(n=2)
    done = warm(Versioned)
    assert (done.total.filled, done.total.valid) == (2, 0)
    with no_sql() as asked:
        assert Versioned.objects.get(pk=row.pk).n == 1
    assert len(asked) == 0


def test_what_is_being_written_is_left_to_its_writer(elsewhere: Callable[..., Any]) -> None:
    pks = items(3)
    with transaction.atomic():
        Item.objects.filter(pk=pks[0]).update(stock=50)
        done = elsewhere(lambda: warm(Item))
    assert (done.total.filled, done.total.busy) == (2, 1)
    assert Item.objects.get(pk=pks[0]).stock == 50


def test_what_another_loads_is_left_to_it(elsewhere: Callable[..., Any]) -> None:
    pks = items(3)
    found: list[Warmed] = []

    def while_it_loads(_: Any) -> None:
        if not found:
            found.append(Warmed())
            found[0] = elsewhere(lambda: warm(Item))

    with hooks.listening(before_fill=while_it_loads):
        Item.objects.get(pk=pks[0])
    assert (found[0].total.filled, found[0].total.busy) == (2, 1)


def test_a_reader_who_waits_for_a_row_is_woken(redis_client: redis.Redis) -> None:
    (pk,) = items(1)
    with ThreadPoolExecutor(1) as pool:
        found: list[Future[Any]] = []

        def read() -> tuple[int, int]:
            with no_sql() as asked:
                stock = Item.objects.get(pk=pk).stock
            connection.close()
            return stock, len(asked)

        def somebody_comes(_: Any) -> None:
            found.append(pool.submit(read))
            while not redis_client.exists(f"{key(Item, pk)}~waiting"):
                assert not found[0].done(), "Nobody has waited."

        with hooks.listening(before_fill=somebody_comes):
            assert warm(Item).total.filled == 1
        assert found[0].result(20) == (0, 0)


@pytest.mark.parametrize("refresh", [False, True])
def test_a_row_written_while_it_is_loaded_is_not_stored(
    refresh: bool, elsewhere: Callable[..., Any]
) -> None:
    pks = items(3)
    if refresh:
        warm(Item)

    def writes(loaded: hooks.Loaded) -> None:
        elsewhere(lambda: Item.objects.filter(pk=pks[1]).update(stock=50, slug="moved"))

    with hooks.listening(before_fill=writes):
        done = warm(Item, refresh=refresh)
    assert (done.total.filled, done.total.refused) == (2, 1)
    assert Item.objects.get(pk=pks[1]).stock == 50
    assert Item.objects.get(slug="moved").stock == 50
    assert not Item.objects.filter(slug="s1").exists()


def test_a_version_that_changes_while_rows_are_loaded_makes_them_useless(
    elsewhere: Callable[..., Any],
) -> None:
    row = Versioned.objects.create(n=1)

    def writes(_: Any) -> None:
        elsewhere(lambda: Versioned.objects.filter(pk=row.pk).update(n=2))

    with hooks.listening(before_fill=writes):
        warm(Versioned)
    assert Versioned.objects.get(pk=row.pk).n == 2


def test_a_row_deleted_while_it_is_loaded_leaves_no_lease(redis_client: redis.Redis) -> None:
    """Between the look at its key and the query."""
    pks = items(3)
    execute_from_second = []

    def deletes(execute: Any, sql: str, *arguments: Any) -> Any:
        execute_from_second.append(sql)
        if len(execute_from_second) == 2:
            with connection.execute_wrapper(lambda e, *a: e(*a)):
                execute(f"DELETE FROM testapp_item WHERE id = {pks[1]}", None, *arguments[1:])
        return execute(sql, *arguments)

    with connection.execute_wrapper(deletes):
        done = warm(Item)
    assert (done.total.filled, done.total.gone) == (2, 1)
    assert not redis_client.exists(key(Item, pks[1]), key(Item, "slug=s1"))


def test_uncommitted_rows_do_not_get_in(redis_client: redis.Redis) -> None:
    with transaction.atomic():
        (pk,) = items(1)
        done = warm(Item)
        assert (done.total.looked_at, done.total.busy) == (1, 1)
        assert (redis_client.get(key(Item, pk)) or b"W")[:1] == b"W"
    assert warm(Item).total.filled == 1


def test_a_snapshot_does_not_get_in(redis_client: redis.Redis) -> None:
    (pk,) = items(1)
    with transaction.atomic():
        behind("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        done = warm(Item)
    assert done.total.filled == 0
    assert not redis_client.exists(key(Item, pk), key(Item, "slug=s0"))


def test_a_failed_query_leaves_no_lease(redis_client: redis.Redis) -> None:
    (pk,) = items(1)

    def fails(execute: Any, sql: str, *arguments: Any) -> Any:
        if "stock" in sql:
            raise ZeroDivisionError
        return execute(sql, *arguments)

    with connection.execute_wrapper(fails), pytest.raises(ZeroDivisionError):
        warm(Item)
    assert not redis_client.exists(key(Item, pk), key(Item, "slug=s0"))


def test_entries_live_as_long_as_the_policy_says_each_a_little_different(
    redis_client: redis.Redis,
) -> None:
    pks = items(50)
    warm(Item)
    ttls = {redis_client.pttl(key(Item, pk)) // 100 for pk in pks}
    assert max(ttls) <= 6000
    assert min(ttls) >= 5300
    assert len(ttls) > 10


def test_a_soft_expiry_is_kept(settings: Any) -> None:
    policy = {"soft_ttl": 0.001, "stampede": "stale_while_revalidate", "refresh": "inline"}
    settings.CACHEPATTERNS = {**settings.CACHEPATTERNS, "POLICIES": {"testapp.Shelf": policy}}
    shelf = Shelf.objects.create(name="a")
    assert warm(Shelf).total.filled == 1
    before = metrics.snapshot()["stale_hit"]
    while metrics.snapshot()["stale_hit"] == before:
        assert Shelf.objects.get(pk=shelf.pk).name == "a"


def test_what_cannot_be_stored_is_said(settings: Any, redis_client: redis.Redis) -> None:
    settings.CACHEPATTERNS = {
        **settings.CACHEPATTERNS,
        "POLICIES": {"testapp.Shelf": {"max_size": 100}},
    }
    small, large = Shelf.objects.create(name="a"), Shelf.objects.create(name="a" * 40)
    large.name = "a" * 40
    behind("ALTER TABLE testapp_shelf ALTER COLUMN name TYPE varchar(400)")
    try:
        behind("UPDATE testapp_shelf SET name = repeat('x', 400) WHERE id = %s", large.pk)
        done = warm(Shelf)
        assert (done.total.filled, done.total.unfit) == (1, 1)
        assert redis_client.exists(key(Shelf, small.pk), key(Shelf, large.pk)) == 1
    finally:
        behind("DELETE FROM testapp_shelf")
        behind("ALTER TABLE testapp_shelf ALTER COLUMN name TYPE varchar(40)")


# Which


def test_models_that_do_not_read_through_are_refused(settings: Any) -> None:
    settings.CACHEPATTERNS = {
        **settings.CACHEPATTERNS,
        "POLICIES": {
            "testapp.Shelf": {"pattern": "cache_aside"},
            "testapp.Item": {"admit_after": 2},
        },
    }
    with pytest.raises(Unwarmable, match=r"testapp\.Shelf.*cache_aside"):
        warm(Shelf)
    with pytest.raises(Unwarmable, match=r"testapp\.Item.*admit_after=2"):
        warm(Item)
    with pytest.raises(Unwarmable, match=r"testapp\.Building.*CachedModel"):
        warm(Building)


def test_nothing_is_warmed_while_the_cache_is_off(settings: Any) -> None:
    settings.CACHEPATTERNS = {**settings.CACHEPATTERNS, "ENABLED": False}
    with pytest.raises(Unwarmable, match="ENABLED"):
        warm(Item)


def test_without_models_it_is_all_that_read_through(settings: Any) -> None:
    settings.CACHEPATTERNS = {
        **settings.CACHEPATTERNS,
        "POLICIES": {"testapp.Shelf": {"pattern": "cache_aside"}},
    }
    items(1)
    by_model = warm().by_model
    assert by_model["testapp.Item"].filled == 1
    assert {"testapp.WrittenPiece", "testapp.Cafe"} <= set(by_model)
    assert not {"testapp.Shelf", "testapp.Building"} & set(by_model)


@isolate_apps("tests.testapp")
def test_models_of_isolated_apps_are_none_of_the_projects() -> None:
    class Isolated(CachedModel):
        class Meta:
            app_label = "testapp"

    assert "testapp.Isolated" not in warm().by_model


def test_a_queryset_is_warmed_in_its_order(redis_client: redis.Redis) -> None:
    pks = items(10)
    assert warm(Item.objects.filter(stock__lt=4)).total.filled == 4
    assert warm(Item.objects.order_by("-stock")[:3]).total.filled == 3
    there = [redis_client.exists(key(Item, pk)) for pk in pks]
    assert there == [1] * 4 + [0] * 3 + [1] * 3
    assert warm(Item.objects.order_by("-stock"), limit=4).total.looked_at == 4


def test_rows_between_those_of_a_queryset_are_not_read() -> None:
    items(500)
    with no_sql() as asked:
        assert warm(Item.objects.filter(stock__in=[0, 250, 499])).total.filled == 3
    read = 0
    with connection.cursor() as cursor:
        for query in asked.captured_queries:
            cursor.execute(query["sql"])
            read += len(cursor.fetchall())
    assert read == 3 + 3, "three keys, and then their rows"


def test_a_join_that_repeats_rows_and_an_order_with_several_threads() -> None:
    pks = items(2500)
    Label.objects.bulk_create([Label(item_id=pk, text=text) for pk in pks[:5] for text in "ab"])
    done = warm(Item.objects.filter(labels__text__in="ab"))
    assert (done.total.looked_at, done.total.filled, done.total.refused) == (5, 5, 0)
    done = warm(Item.objects.order_by("-stock"), workers=3)
    assert (done.total.looked_at, done.total.filled, done.total.valid) == (2500, 2495, 5)


def test_a_query_that_fails_for_a_moment_leaves_nothing_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("django_cachepatterns.warming.crew.PAUSES", (0.01,) * 3)
    items(250)
    seen: list[str] = []

    def fails(execute: Any, sql: str, *arguments: Any) -> Any:
        seen.append(sql)
        if len(seen) in (1, 3, 5):
            raise OperationalError("gone for a moment")
        return execute(sql, *arguments)

    for target in (Item, Item.objects.order_by("stock")):
        drop_entries(Item)
        seen.clear()
        with connection.execute_wrapper(fails):
            assert warm(target).total.filled == 250


@pytest.mark.django_db(transaction=False)
def test_in_a_testcase_what_the_test_has_made_is_warmed() -> None:
    (pk,) = items(1)
    assert warm(Item).total.filled == 1
    with no_sql() as asked:
        Item.objects.get(pk=pk)
    assert len(asked) == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"limit": 0}, "limit is 0"),
        ({"rate": 0}, "rate is 0"),
        ({"rate": float("inf")}, "rate is inf"),
        ({"workers": 0}, "workers is 0"),
        ({"resume": True, "hot": True}, "resume"),
    ],
)
def test_wrong_numbers_are_refused(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(PolicyError, match=said):
        warm(Item, **arguments)


# How


def test_a_chunk_is_two_queries_and_three_round_trips() -> None:
    """Its keys and its rows; two lease scripts at once, a fill for rows and one for pointers."""
    items(100)
    warm(Item, limit=1)  # The server has been told the script.
    drop_entries(Item)
    with no_sql() as asked, assert_store_commands(2 + 1 + 1 + 1):  # It forgets where it was.
        warm(Item, limit=100)
    assert len(asked) == 2


@pytest.mark.parametrize("workers", [2, 5])
def test_workers_warm_each_row_once(workers: int) -> None:
    pks = items(3000)
    told: list[Progress] = []
    done = warm(Item, workers=workers, on_progress=told.append)
    assert done.finished
    assert (done.total.looked_at, done.total.filled, done.total.busy) == (3000, 3000, 0)
    assert [each.done for each in told] == sorted(each.done for each in told)
    assert told[-1] == Progress("testapp.Item", 3000, 3000)
    with no_sql() as asked:
        assert len(Item.objects.in_bulk(pks)) == 3000
    assert len(asked) == 0


def test_a_rate_is_kept() -> None:
    items(120)
    began = monotonic()
    assert warm(Item, rate=200, workers=2).total.filled == 120
    assert monotonic() - began >= 0.1  # A hundred at once, and then their time has to pass.


def test_a_limit_is_kept() -> None:
    items(150)
    assert warm(Item, limit=130, workers=3).total.looked_at == 130


def stopping_at(rows: int) -> tuple[threading.Event, Callable[[Progress], None]]:
    """An event that is set when so many rows are done."""
    stop = threading.Event()

    def on_progress(progress: Progress) -> None:
        if progress.done >= rows:
            stop.set()

    return stop, on_progress


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django_cachepatterns.warming.course.MOST", 500)


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("workers", [1, 3])
def test_a_run_that_was_stopped_is_resumed(workers: int, redis_client: redis.Redis) -> None:
    pks = items(3500)
    stop, on_progress = stopping_at(1000)
    first = warm(Item, workers=workers, stop=stop, on_progress=on_progress)
    assert not first.finished
    assert 1000 <= first.total.looked_at < 3500
    redis_client.delete(key(Item, pks[0]))
    second = warm(Item, workers=workers, resume=True)
    assert second.finished
    # With several threads a little may be looked at twice, and nothing is left out.
    assert second.total.looked_at >= 3500 - first.total.looked_at
    assert second.total.looked_at < 3500
    assert first.total.filled + second.total.filled == 3500
    assert not redis_client.exists(key(Item, pks[0]))
    assert warm(Item, resume=True).total.looked_at == 3500  # Nothing to go on from any more.


@pytest.mark.usefixtures("small_chunks")
def test_a_limit_counts_what_an_interrupted_run_has_done() -> None:
    items(3000)
    stop, on_progress = stopping_at(1000)
    first = warm(Item, limit=2500, stop=stop, on_progress=on_progress)
    second = warm(Item, limit=2500, resume=True)
    assert first.total.looked_at + second.total.looked_at == 2500


@pytest.mark.parametrize("place", [b'{"after": "abc", "done": 3}', b"[]", b"\xff", b"{}"])
def test_a_place_that_is_none_of_this_model_is_the_beginning(
    place: bytes, redis_client: redis.Redis
) -> None:
    items(3)
    redis_client.set(key(Item, "~warming"), place)
    assert warm(Item, resume=True).total.filled == 3


@pytest.mark.usefixtures("small_chunks")
def test_the_place_goes_with_the_entries() -> None:
    items(3000)
    stop, on_progress = stopping_at(1000)
    warm(Item, stop=stop, on_progress=on_progress)
    drop_entries(Item)
    assert warm(Item, resume=True).total.looked_at == 3000


def test_an_outage_ends_it_with_what_was_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django_cachepatterns.warming.crew.PAUSES", (0.01,))
    items(10)
    with outage():
        done = warm(Item)
    assert isinstance(done.error, StoreUnavailable)
    assert not done.finished
    assert done.total.filled == 0


def test_a_moment_without_the_server_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    items(10)
    away = outage()
    away.__enter__()
    monkeypatch.setattr("django_cachepatterns.warming.crew.PAUSES", (0.01, 0.3, 0.3))
    timer = threading.Timer(0.1, lambda: away.__exit__(None, None, None))
    timer.start()
    done = warm(Item)
    timer.join()
    assert done.finished
    assert done.total.filled == 10


# Whose


@pytest.fixture
def tenants(settings: Any) -> Iterator[None]:
    settings.CACHEPATTERNS = {**settings.CACHEPATTERNS, "TENANT": lambda: "acme"}
    return


@pytest.mark.usefixtures("tenants")
@pytest.mark.parametrize("workers", [1, 2])
def test_a_tenants_rows_are_warmed_for_it(workers: int, redis_client: redis.Redis) -> None:
    (pk,) = items(1)
    with as_tenant("other"):
        assert warm(Item, workers=workers).total.filled == 1
        assert redis_client.exists(key(Item, pk))
    assert not redis_client.exists(key(Item, pk))


def peak_of(rows: int) -> int:
    """Bytes that are held at most while so many rows are warmed."""
    drop_entries(Item)
    gc.collect()
    tracemalloc.start()
    try:
        assert warm(Item, limit=rows).total.filled == rows
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_chunks_of_large_rows_are_small() -> None:
    behind(
        "INSERT INTO testapp_everything (text) SELECT repeat(n::text, 40000) "
        "FROM generate_series(100, 260) n"
    )
    done: list[int] = [0]
    assert warm(Everything, on_progress=lambda each: done.append(each.done)).total.filled == 161
    first, *sizes = (after - before for before, after in pairwise(done))
    assert first == 100
    assert max(sizes) <= 40


def test_memory_does_not_grow_with_the_rows() -> None:
    """6,000 rows more would be several megabytes, were they held."""
    items(8000)
    warm(Item)
    assert peak_of(8000) - peak_of(2000) < 1_000_000
