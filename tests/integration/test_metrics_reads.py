"""What reads are counted as: each key that is asked for once, as served or as not served."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from django_cachepatterns import ReadThrough, WriteThrough, cache_aside, hooks, metrics
from django_cachepatterns.fragments import Fragment, fragment_policy
from django_cachepatterns.metrics import counting
from django_cachepatterns.metrics.histogram import bounds
from django_cachepatterns.metrics.measured import Measured
from django_cachepatterns.testing import outage
from django_cachepatterns.warming import warm
from tests.testapp.models import Item, Shelf

pytestmark = pytest.mark.django_db(transaction=True)

ITEM, LISTS = "testapp.item", "testapp.item:list"


class Counted:
    """What was counted in a block, by family."""

    def __init__(self) -> None:
        self.by_family: dict[str, Measured] = {}

    def __getitem__(self, family: str) -> Measured:
        return self.by_family.get(family, Measured())

    def keys(self, family: str) -> dict[str, int]:
        """What has become of keys."""
        wanted = (*metrics.outcomes.SERVED, *metrics.outcomes.UNSERVED)
        return {name: self[family].counts[name] for name in wanted if self[family].counts.get(name)}

    def calls(self, family: str) -> dict[str, int]:
        """How many calls and loads were timed, by kind."""
        return {kind: sum(each.values()) for kind, each in sorted(self[family].times.items())}


@contextmanager
def counted() -> Iterator[Counted]:
    before = counting.collected()
    found = Counted()
    yield found
    after = counting.collected()
    numbers: dict[str, dict[str, int]] = {}
    for old, new in zip(before, after, strict=True):
        for (family, name), number in (new - old).items():
            numbers.setdefault(family, {})[name] = number
    found.by_family = {family: Measured.of(each) for family, each in numbers.items()}


@pytest.fixture
def items() -> list[Item]:
    shelf = Shelf.objects.create()
    return [
        Item.objects.create(name="item", slug=f"item-{at}", shelf=shelf, place=at)
        for at in range(5)
    ]


def test_a_row_that_is_missing_then_there(items: list[Item]) -> None:
    with counted() as found:
        Item.objects.get(pk=items[0].pk)
    assert (found.keys(ITEM), found.calls(ITEM)) == ({"miss": 1}, {"load": 1, "miss": 1})
    with counted() as found:
        Item.objects.get(pk=items[0].pk)
        Item.objects.filter(pk=items[0].pk).first()
    assert (found.keys(ITEM), found.calls(ITEM)) == ({"hit": 2}, {"hit": 2})
    assert found[ITEM].counts["read_bytes"] > 2 * 32


def test_an_absence(items: list[Item]) -> None:
    with counted() as found:
        for _ in range(3):
            with suppress(Item.DoesNotExist):
                Item.objects.get(pk=-1)
    assert found.keys(ITEM) == {"miss": 1, "negative": 2}
    assert found.calls(ITEM) == {"hit": 2, "load": 1, "miss": 1}


def test_a_page_is_one_call_of_many_keys(items: list[Item]) -> None:
    pks = [item.pk for item in items]
    Item.objects.get(pk=pks[0])
    with counted() as found:
        Item.objects.in_bulk([*pks, -1])
    assert found.keys(ITEM) == {"hit": 1, "miss": 5}
    assert found.calls(ITEM) == {"load": 1, "miss": 1}
    with counted() as found:
        list(Item.objects.filter(pk__in=pks))
        Item.objects.in_bulk([*pks, -1])
    assert found.keys(ITEM) == {"hit": 10, "negative": 1}
    assert found.calls(ITEM) == {"hit": 2}


def test_a_lookup_is_one_call(items: list[Item]) -> None:
    with counted() as found:
        Item.objects.get(slug="item-1")
    assert found.keys(ITEM) == {"miss": 2}, "its pointer, and its row"
    assert found.calls(ITEM) == {"load": 2, "miss": 1}
    with counted() as found:
        Item.objects.get(slug="item-1")
        Item.objects.get(shelf_id=items[1].shelf_id, place=1)
        with suppress(Item.DoesNotExist):
            Item.objects.get(slug="nothing")
        with suppress(Item.DoesNotExist):
            Item.objects.get(slug="nothing")
    assert found.calls(ITEM) == {"hit": 2, "load": 2, "miss": 2}
    assert found[ITEM].served == 3, "the row twice, and the absence once"


def test_the_bytes_of_a_row_count_however_it_was_found(items: list[Item], settings: Any) -> None:
    Item.objects.get(slug="item-1")
    with counted() as found:
        Item.objects.get(pk=items[1].pk)
    row = found[ITEM].counts["read_bytes"]
    with override_settings(CACHEPATTERNS={**settings.CACHEPATTERNS}), counted() as found:
        Item.objects.get(slug="item-1")  # As in another process, which remembers no pointer.
    assert found.keys(ITEM) == {"hit": 2}
    assert found[ITEM].counts["read_bytes"] > row, "of the pointer, and of the row"


def test_who_is_cancelled_while_another_loads_has_read_nothing() -> None:
    loading = asyncio.Event()

    @cache_aside(key="cancelled:{word}")
    async def slow(word: str) -> str:
        loading.set()
        await asyncio.sleep(60)
        return word

    async def cancelled() -> None:
        tasks = [asyncio.create_task(slow("a")) for _ in range(3)]
        await loading.wait()
        while metrics.by_family()[slow.name].get("wait", 0) < 2:
            await asyncio.sleep(0.01)
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    with counted() as found:
        asyncio.run(cancelled())
    assert found.keys(slow.name) == {"miss": 1}
    assert found.calls(slow.name) == {"load": 1, "miss": 1}


def test_a_list_is_one_call_of_its_own_family(items: list[Item]) -> None:
    queryset = Item.objects.filter(shelf=items[0].shelf).order_by("pk")
    with counted() as found:
        list(queryset.cache())
    assert (found.keys(LISTS), found.calls(LISTS)) == ({"miss": 1}, {"load": 1, "miss": 1})
    assert found.keys(ITEM) == {}
    with counted() as found:
        assert len(queryset.cache()) == 5
        assert queryset.cache().count() == 5
        assert queryset.cache().count() == 5
    assert found.keys(LISTS) == {"hit": 2, "miss": 1}
    assert found.calls(LISTS) == {"hit": 2, "load": 1, "miss": 1}
    assert (found.keys(ITEM), found.calls(ITEM)) == ({"hit": 5}, {})


def test_a_list_with_a_row_that_is_gone_from_the_cache(
    items: list[Item], redis_client: Any
) -> None:
    queryset = Item.objects.filter(shelf=items[0].shelf).order_by("pk")
    list(queryset.cache())
    list(queryset.cache())
    (key,) = redis_client.scan_iter(f"*:{ITEM}:{items[2].pk}")
    redis_client.delete(key)
    with counted() as found:
        assert len(queryset.cache()) == 5
    assert found.keys(LISTS) == {"hit": 1}
    assert found.keys(ITEM) == {"hit": 4, "miss": 1}
    assert (found.calls(LISTS), found.calls(ITEM)) == ({"miss": 1}, {"load": 1})


def test_an_outdated_list_is_counted_as_one(items: list[Item]) -> None:
    queryset = Item.objects.filter(shelf=items[0].shelf).order_by("pk")
    queryset.cache().count()
    items[0].save()
    with counted() as found:
        queryset.cache().count()
    assert found.keys(LISTS) == {"miss": 1}
    assert found[LISTS].invalidations == 1


def test_what_a_transaction_has_written_is_read_past_the_cache(items: list[Item]) -> None:
    item = items[0]
    queryset = Item.objects.filter(shelf=item.shelf).order_by("pk")
    list(queryset.cache())
    Item.objects.in_bulk([each.pk for each in items])
    Item.objects.get(slug=item.slug)
    with counted() as found, transaction.atomic():
        item.save()
        Item.objects.get(pk=item.pk)
        Item.objects.filter(pk=item.pk).first()
        Item.objects.get(slug=item.slug)
        queryset.cache().count()
        list(queryset.cache())
    assert found.keys(ITEM) == {"bypass": 3}
    assert found.keys(LISTS) == {"bypass": 2}


def test_a_page_of_which_a_transaction_has_written_a_row(items: list[Item]) -> None:
    pks = [each.pk for each in items]
    Item.objects.in_bulk(pks)
    for read in (Item.objects.in_bulk, lambda pks: list(Item.objects.filter(pk__in=pks))):
        with counted() as found, transaction.atomic():
            items[0].save()
            read(pks)
        assert found.keys(ITEM) == {"bypass": 5}


def test_what_another_is_writing_is_read_past_the_cache(
    items: list[Item], elsewhere: Callable[..., Any]
) -> None:
    def read() -> None:
        Item.objects.get(pk=items[0].pk)
        Item.objects.in_bulk([item.pk for item in items])

    with transaction.atomic():
        items[0].save()
        with counted() as found:
            elsewhere(read)
    assert found.keys(ITEM) == {"bypass": 2, "miss": 4}


def test_without_the_server(items: list[Item]) -> None:
    Item.objects.get(pk=items[0].pk)
    with counted() as found, outage():
        Item.objects.get(pk=items[0].pk)
        Item.objects.in_bulk([item.pk for item in items])
        Item.objects.filter(shelf=items[0].shelf).cache().count()
    assert found.keys(ITEM) == {"outage": 6}
    assert found.keys(LISTS) == {"outage": 1}
    assert found.calls(ITEM) == {"load": 2, "miss": 2}


def test_who_waits_for_another_counts_what_comes_of_it(
    items: list[Item], elsewhere: Callable[..., Any]
) -> None:
    """A hit where the other's load was stored, and `timed_out` where that took too long."""
    loading, go_on = threading.Event(), threading.Event()

    @cache_aside("metrics:waits:{pk}", ttl=60, lease_wait=30)
    def slow(pk: int) -> int:
        loading.set()
        assert go_on.wait(20)
        return pk

    name = f"{slow.__module__}.{slow.__qualname__}"
    with counted() as found:
        first = threading.Thread(target=slow, args=(1,))
        first.start()
        assert loading.wait(20)
        second = threading.Thread(target=slow, args=(1,))
        before = metrics.by_family().get(name, {}).get("wait", 0)
        second.start()
        while metrics.by_family().get(name, {}).get("wait", 0) == before:
            second.join(0.005)
        go_on.set()
        first.join()
        second.join()
    assert found.keys(name) == {"hit": 1, "miss": 1}
    assert found.calls(name) == {"hit": 1, "load": 1, "miss": 1}
    assert found[name].counts["wait"] == 1


def test_who_waits_in_vain_has_timed_out(items: list[Item], redis_client: Any) -> None:
    @cache_aside("metrics:vain:{pk}", ttl=60, lease_wait=0.05)
    def slow(pk: int) -> int:
        return pk

    name = f"{slow.__module__}.{slow.__qualname__}"
    slow(1)
    (key,) = redis_client.scan_iter("*metrics:vain:1")
    redis_client.set(key, b"L" + b"x" * 16, px=60_000)
    with counted() as found:
        assert slow(1) == 1
    assert found.keys(name) == {"timed_out": 1}
    assert found[name].counts["wait"] == 1


def test_functions_values_and_fragments() -> None:
    @cache_aside("metrics:function:{at}", ttl=60)
    def function(at: int) -> int:
        return at

    @cache_aside("metrics:coroutine:{at}", ttl=60)
    async def coroutine(at: int) -> int:
        return at

    values = ReadThrough("metrics-values", load=lambda key: key, ttl=60)
    written = WriteThrough("metrics-written", load=lambda key: key, write=lambda *_: None, ttl=60)

    async def awaited() -> None:
        await coroutine(1)
        await coroutine(1)

    def fragment() -> None:
        text = Fragment("metrics", ())
        text.read(text.asked(lambda: "text"), fragment_policy("metrics", 60, {}))

    with counted() as found:
        function(1), function(1)
        asyncio.run(awaited())
        values.get(1), values.get(1)
        written.get(1), written.get(1)
        fragment(), fragment()
    for name in (
        f"{function.__module__}.{function.__qualname__}",
        f"{coroutine.__module__}.{coroutine.__qualname__}",
        "metrics-values",
        "metrics-written",
        "fragment metrics",
    ):
        assert found.keys(name) == {"hit": 1, "miss": 1}, name
        assert found.calls(name) == {"hit": 1, "load": 1, "miss": 1}, name


def test_a_refresh_is_no_read() -> None:
    values = ReadThrough("metrics-refreshed", load=lambda key: key, ttl=60)
    values.get(1)
    with counted() as found:
        values.refresh(1)
        values.invalidate(1)
        values.refresh(1)
    assert found.keys("metrics-refreshed") == {}
    assert found["metrics-refreshed"].counts["load"] == 2
    assert found["metrics-refreshed"].counts["refresh"] == 2


def test_a_load_that_raises_is_a_miss() -> None:
    def load(key: Any) -> Any:
        raise ZeroDivisionError

    values = ReadThrough("metrics-raises", load=load, ttl=60)
    with counted() as found, pytest.raises(ZeroDivisionError):
        values.get(1)
    assert found.keys("metrics-raises") == {"miss": 1}
    assert found["metrics-raises"].counts["load_error"] == 1


def test_calls_that_needed_no_query_are_those_that_were_saved(items: list[Item]) -> None:
    """Against the queries that the database has counted."""
    pks = [item.pk for item in items]
    queryset = Item.objects.filter(shelf=items[0].shelf).order_by("pk")
    calls: list[Callable[[], object]] = [
        *(lambda pk=pk: Item.objects.get(pk=pk) for pk in pks),
        lambda: Item.objects.in_bulk(pks),
        lambda: list(queryset.cache()),
        lambda: queryset.cache().exists(),
        lambda: Item.objects.get(slug="item-3"),
        lambda: items[0].shelf,
    ]
    for item in items:
        item.refresh_from_db()
    with_queries = 0
    with counted() as found:
        for call in calls * 3:
            with CaptureQueriesContext(connection) as asked:
                call()
            with_queries += bool(len(asked))
    timed = Counter[str]()
    for family in found.by_family:
        timed.update(found.calls(family))
    # `items[0].shelf` is asked for once: then the instance has it.
    assert timed["hit"] == len(calls) * 3 - with_queries - 2
    assert timed["miss"] == with_queries


def test_writes_are_counted_by_what_they_invalidate(items: list[Item]) -> None:
    with counted() as found:
        items[0].save()
    assert found[ITEM].counts["invalidation"] == 3, "its row and its two lookups"
    values = ReadThrough("metrics-values-2", load=lambda key: key, ttl=60)

    @cache_aside("metrics:invalidated:{at}", ttl=60)
    def function(at: int) -> int:
        return at

    with counted() as found:
        values.invalidate_many([1, 2])
        function.invalidate(1)
        with transaction.atomic():
            function.invalidate(1)
    assert found["metrics-values-2"].counts["invalidation"] == 2
    name = f"{function.__module__}.{function.__qualname__}"
    assert found[name].counts["invalidation"] == 2


def test_where_nothing_is_measured_keys_are_counted_all_the_same(
    items: list[Item], settings: Any
) -> None:
    settings.CACHEPATTERNS = {**settings.CACHEPATTERNS, "METRICS": False}
    with counted() as found:
        Item.objects.get(pk=items[0].pk)
        Item.objects.get(pk=items[0].pk)
        Item.objects.filter(shelf=items[0].shelf).cache().count()
    assert found.keys(ITEM) == {"hit": 1, "miss": 1}
    assert (found.calls(ITEM), found.calls(LISTS)) == ({}, {})


class Heard:
    """What hooks were told."""

    def __init__(self) -> None:
        self.reads: list[hooks.Read] = []
        self.loads: list[hooks.LoadDone] = []
        self.invalidated: list[hooks.Invalidated] = []

    def outcomes(self) -> list[tuple[str, tuple[str, ...]]]:
        return [(read.family, read.outcomes) for read in self.reads]


@contextmanager
def heard() -> Iterator[Heard]:
    found = Heard()
    with hooks.listening(
        after_read=found.reads.append,
        after_load=found.loads.append,
        after_invalidation=found.invalidated.append,
    ):
        yield found


def test_hooks_are_told_of_each_key(items: list[Item]) -> None:
    pks = [item.pk for item in items]
    queryset = Item.objects.filter(shelf=items[0].shelf).order_by("pk")
    queryset.cache().count()
    with heard() as found:
        Item.objects.get(pk=pks[0])
        Item.objects.get(pk=pks[0])
        Item.objects.in_bulk(pks[:2])
        Item.objects.in_bulk(pks[:2])
        with suppress(Item.DoesNotExist):
            Item.objects.get(pk=-1)
        queryset.cache().count()
        with transaction.atomic():
            items[0].save()
            Item.objects.get(pk=pks[0])
    assert found.outcomes() == [
        (ITEM, ("miss",)),
        (ITEM, ("hit",)),
        (ITEM, ("hit", "miss")),
        (ITEM, ("hit", "hit")),
        (ITEM, ("miss",)),
        (LISTS, ("hit",)),
        (ITEM, ("bypass",)),
    ]
    assert [len(load.keys) for load in found.loads] == [1, 1, 1]
    assert all(load.seconds > 0 and load.error is None for load in found.loads)
    assert all(read.seconds > 0 for read in found.reads[:-1])
    assert found.reads[1].keys == found.reads[0].keys
    assert found.reads[1].keys[0].endswith(b":%d" % pks[0])
    (invalidated,) = found.invalidated
    assert invalidated.reason == "commit"
    assert found.reads[0].keys[0] in invalidated.names


def test_a_hook_that_raises_leaves_no_mark(items: list[Item]) -> None:
    def raises(details: hooks.Invalidated) -> None:
        raise ValueError("a hook of the project's")

    with hooks.listening(after_invalidation=raises), transaction.atomic():
        items[0].save()
        with transaction.atomic():
            items[1].save()
    for item in items[:2]:
        Item.objects.get(pk=item.pk)
        with counted() as found:
            Item.objects.get(pk=item.pk)
        assert found.keys(ITEM) == {"hit": 1}


def test_a_rollback_invalidates_too(items: list[Item]) -> None:
    with heard() as found, suppress(ZeroDivisionError), transaction.atomic():
        items[0].save()
        raise ZeroDivisionError
    assert [each.reason for each in found.invalidated] == ["rollback"]


def test_hooks_are_told_of_loads_that_raise() -> None:
    error = ZeroDivisionError()

    def load(key: Any) -> Any:
        raise error

    with heard() as found, suppress(ZeroDivisionError):
        ReadThrough("metrics-raises-2", load=load, ttl=60).get(1)
    (done,) = found.loads
    assert done.error is error
    assert found.outcomes() == [("metrics-raises-2", ("miss",))]


def test_signals_cost_nothing_while_nobody_is_connected(items: list[Item]) -> None:
    from django_cachepatterns.signals import cache_invalidated, cache_read

    told: list[Any] = []

    def on_read(sender: Any, read: hooks.Read, **kwargs: Any) -> None:
        told.append(read)

    def on_invalidated(sender: Any, invalidated: hooks.Invalidated, **kwargs: Any) -> None:
        told.append(invalidated)

    before = hooks.after_read, hooks.after_invalidation
    cache_read.connect(on_read)
    cache_read.connect(on_read)
    cache_invalidated.connect(on_invalidated)
    try:
        assert len(hooks.after_read) == len(before[0]) + 1
        Item.objects.get(pk=items[0].pk)
        items[0].save()
    finally:
        cache_read.disconnect(on_read)
        cache_invalidated.disconnect(on_invalidated)
    assert (hooks.after_read, hooks.after_invalidation) == before
    assert [type(each) for each in told] == [hooks.Read, hooks.Invalidated]


def test_warming_counts_its_loads_at_their_time_per_row() -> None:
    number = 100
    items = Item.objects.bulk_create(
        Item(name="i", slug=f"i{at}", place=at) for at in range(number)
    )
    done: list[hooks.LoadDone] = []
    with counted() as found, hooks.listening(after_load=done.append):
        warm(Item.objects.filter(pk__in=[item.pk for item in items]))
    assert [(each.family, len(each.keys), each.error) for each in done] == [(ITEM, number, None)]
    assert (found[ITEM].counts["load"], found.calls(ITEM)) == (number, {"load": 1})
    ((bucket, _),) = found[ITEM].times["load"].items()
    assert bounds(bucket)[1] < done[0].seconds


def test_a_query_of_warming_that_fails_is_a_load_that_raised() -> None:
    item = Item.objects.create(name="i", slug="i")
    done: list[hooks.LoadDone] = []

    def fail(execute: Any, sql: str, *args: Any) -> Any:
        if '"name"' in sql:  # Not the query that finds primary keys.
            raise ZeroDivisionError
        return execute(sql, *args)

    with (
        counted() as found,
        hooks.listening(after_load=done.append),
        connection.execute_wrapper(fail),
        pytest.raises(ZeroDivisionError),
    ):
        warm(Item.objects.filter(pk=item.pk))
    assert found[ITEM].counts["load_error"] == 1
    assert isinstance(done[0].error, ZeroDivisionError)
