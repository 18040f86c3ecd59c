"""Which reads are hits, which go to the database untouched, and that both are right."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connections, transaction
from django.db.models import Count, F, Q, Value
from django.test import override_settings

from django_cachepatterns import metrics
from tests.testapp.models import (
    ByName,
    Detail,
    Filtered,
    Item,
    ItemProxy,
    Label,
    Shelf,
    TextRow,
    UuidRow,
)

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


@pytest.fixture
def item() -> Item:
    shelf = Shelf.objects.create(name="top")
    item = Item.objects.create(name="one", slug="one", shelf=shelf, place=3)
    Item.objects.get(pk=item.pk)
    Item.objects.get(slug="one")
    Item.objects.get(shelf=shelf, place=3)
    Shelf.objects.get(pk=shelf.pk)
    return item


def run(awaitable: Any) -> Any:
    """Run to the end, and close what its thread has opened."""

    async def story() -> Any:
        try:
            return await awaitable
        finally:
            await sync_to_async(connections.close_all)()

    return asyncio.run(story())


HITS: dict[str, Callable[[Item], Any]] = {
    "pk": lambda item: Item.objects.get(pk=item.pk),
    "id": lambda item: Item.objects.get(id=item.pk),
    "pk__exact": lambda item: Item.objects.get(pk__exact=item.pk),
    "id__exact": lambda item: Item.objects.get(id__exact=item.pk),
    "text": lambda item: Item.objects.get(pk=str(item.pk)),
    "Q": lambda item: Item.objects.get(Q(pk=item.pk)),
    "nested Q": lambda item: Item.objects.get(Q(Q(id=item.pk))),
    "filter, get": lambda item: Item.objects.filter(pk=item.pk).get(),
    "all, get": lambda item: Item.objects.all().get(pk=item.pk),
    "order_by, get": lambda item: Item.objects.order_by("name").get(pk=item.pk),
    "first": lambda item: Item.objects.filter(pk=item.pk).first(),
    "ordered first": lambda item: Item.objects.order_by("name").filter(pk=item.pk).first(),
    "iterated": lambda item: next(iter(Item.objects.filter(pk=item.pk))),
    "pk__in": lambda item: next(iter(Item.objects.filter(pk__in=[item.pk]))),
    "pk__in a set": lambda item: next(iter(Item.objects.filter(id__in={item.pk}))),
    "in_bulk": lambda item: Item.objects.in_bulk([item.pk])[item.pk],
    "in_bulk of text": lambda item: Item.objects.in_bulk([str(item.pk)])[item.pk],
    "proxy": lambda item: ItemProxy.objects.get(pk=item.pk),
    "lookup": lambda item: Item.objects.get(slug="one"),
    "lookup in a filter": lambda item: Item.objects.filter(slug="one").get(),
    "lookup, first": lambda item: Item.objects.filter(slug="one").first(),
    "two columns": lambda item: Item.objects.get(shelf=item.shelf_id, place=3),
    "two columns by id": lambda item: Item.objects.get(shelf_id=item.shelf_id, place="3"),
    "two columns by object": lambda item: Item.objects.get(place=3, shelf=item.shelf),
    "aget": lambda item: run(Item.objects.aget(pk=item.pk)),
    "afirst": lambda item: run(Item.objects.filter(pk=item.pk).afirst()),
    "ain_bulk": lambda item: run(Item.objects.ain_bulk([item.pk]))[item.pk],
}


@pytest.mark.parametrize("spelling", HITS)
def test_a_hit_runs_no_sql(spelling: str, item: Item, django_assert_num_queries: Any) -> None:
    shelf = item.shelf
    before = metrics.snapshot()
    with django_assert_num_queries(0):
        found = HITS[spelling](item)
    assert found.pk == item.pk
    assert found.name == "one"
    assert found._state.db == "default"
    assert not found._state.adding
    assert metrics.snapshot()["hit"] > before["hit"]
    assert shelf is not None


UNTOUCHED: dict[str, Callable[[Item], Any]] = {
    "extra filter": lambda item: Item.objects.get(pk=item.pk, name="one"),
    "chained filter": lambda item: Item.objects.filter(name="one").get(pk=item.pk),
    "exclude": lambda item: Item.objects.exclude(name="x").get(pk=item.pk),
    "or": lambda item: Item.objects.get(Q(pk=item.pk) | Q(pk=-1)),
    "not": lambda item: Item.objects.get(~Q(pk=-1)),
    "join": lambda item: Item.objects.get(pk=item.pk, shelf__name="top"),
    "select_related": lambda item: Item.objects.select_related("shelf").get(pk=item.pk),
    "only": lambda item: Item.objects.only("name").get(pk=item.pk),
    "defer": lambda item: Item.objects.defer("stock").get(pk=item.pk),
    "annotate": lambda item: Item.objects.annotate(n=Count("labels")).get(pk=item.pk),
    "alias": lambda item: Item.objects.alias(n=F("stock")).filter(n=0).get(pk=item.pk),
    "extra": lambda item: Item.objects.extra(select={"n": "1"}).get(pk=item.pk),
    "distinct": lambda item: Item.objects.distinct().get(pk=item.pk),
    "expression": lambda item: Item.objects.get(pk=Value(item.pk)),
    "F": lambda item: Item.objects.get(pk=F("id"), slug="one"),
    "subquery": lambda item: Item.objects.get(pk__in=Item.objects.filter(name="one")),
    "slice": lambda item: Item.objects.filter(pk__in=[item.pk])[:5][0],
    "range": lambda item: Item.objects.get(pk__gte=item.pk, pk__lte=item.pk),
    "iterator": lambda item: next(Item.objects.filter(pk=item.pk).iterator()),
    "ordered pk__in": lambda item: Item.objects.filter(pk__in=[item.pk]).order_by("name")[0],
    "union": lambda item: Item.objects.filter(pk=item.pk).union(Item.objects.none()).first(),
    "raw": lambda item: Item.objects.raw("SELECT * FROM testapp_item")[0],
    "related manager": lambda item: item.shelf.items.get(pk=item.pk),
    "not a lookup": lambda item: Item.objects.get(name="one"),
    "iexact": lambda item: Item.objects.get(slug__iexact="ONE"),
}


@pytest.mark.parametrize("spelling", UNTOUCHED)
def test_anything_else_goes_to_the_database(
    spelling: str, item: Item, django_assert_num_queries: Any
) -> None:
    assert item.shelf is not None
    with django_assert_num_queries(1):
        found = UNTOUCHED[spelling](item)
    assert found.pk == item.pk
    assert found.name == "one"


def test_values_are_not_instances(item: Item, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(2):
        assert Item.objects.filter(pk=item.pk).values("name").get() == {"name": "one"}
        assert Item.objects.values_list("name", flat=True).get(pk=item.pk) == "one"


def test_count_exists_and_aggregates_ask_the_database(
    item: Item, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(2):
        assert Item.objects.filter(pk=item.pk).exists()
        assert Item.objects.filter(pk=item.pk).count() == 1


def test_each_instance_is_its_callers_own(item: Item) -> None:
    one, other = Item.objects.get(pk=item.pk), Item.objects.get(pk=item.pk)
    one.name = "changed"
    assert other.name == "one"
    assert Item.objects.get(pk=item.pk).name == "one"


def test_an_instance_is_what_the_database_would_have_given(item: Item) -> None:
    cached = Item.objects.get(pk=item.pk)
    loaded = Item.objects.nocache().get(pk=item.pk)
    assert {**cached.__dict__, "_state": None} == {**loaded.__dict__, "_state": None}
    for name in ("db", "adding", "fields_cache", "fetch_mode", "peers"):
        assert getattr(cached._state, name, None) == getattr(loaded._state, name, None)
    assert type(ItemProxy.objects.get(pk=item.pk)) is ItemProxy
    assert ItemProxy.objects.get(pk=item.pk).shout() == "ONE"


def test_absence_is_remembered_until_a_row_appears(django_assert_num_queries: Any) -> None:
    with pytest.raises(Item.DoesNotExist):
        Item.objects.get(pk=999_999)
    with django_assert_num_queries(0), pytest.raises(Item.DoesNotExist):
        Item.objects.get(pk=999_999)
    with django_assert_num_queries(0):
        assert Item.objects.filter(pk=999_999).first() is None
        assert list(Item.objects.filter(pk__in=[999_999])) == []
        assert Item.objects.in_bulk([999_999]) == {}
    Item.objects.create(pk=999_999, name="now", slug="now")
    assert Item.objects.get(pk=999_999).name == "now"


def test_absence_is_remembered_in_a_transaction_too(django_assert_num_queries: Any) -> None:
    with transaction.atomic(), pytest.raises(Item.DoesNotExist):
        Item.objects.get(pk=999_999)
    with django_assert_num_queries(0), pytest.raises(Item.DoesNotExist):
        Item.objects.get(pk=999_999)


def test_absence_in_an_old_snapshot_is_not_remembered(elsewhere: Any) -> None:
    from django.db import connection

    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            cursor.execute("SELECT 1")
        elsewhere(lambda: Item.objects.create(pk=999_999, name="now", slug="now"))
        with pytest.raises(Item.DoesNotExist):
            Item.objects.get(pk=999_999)
    assert Item.objects.get(pk=999_999).name == "now"


def test_an_absent_automatic_key_is_forgotten_when_it_is_given_out() -> None:
    first = Item.objects.create(name="a", slug="a")
    coming = [first.pk + n for n in range(1, 5)]
    for pk in coming:
        with pytest.raises(Item.DoesNotExist):
            Item.objects.get(pk=pk)
    assert Item.objects.create(name="b", slug="b").pk == coming[0]
    assert Item.objects.get(pk=coming[0]).name == "b"
    Item.objects.bulk_create([Item(name="c", slug="c"), Item(name="d", slug="d")])
    assert Item.objects.get(pk=coming[2]).name == "d"
    Item.objects.bulk_create([Item(name="e", slug="e")], ignore_conflicts=True)
    assert Item.objects.get(slug="e").name == "e"


def test_an_absent_lookup_is_forgotten_when_a_row_takes_it_on() -> None:
    item = Item.objects.create(name="a", slug="a")

    def absent(slug: str) -> None:
        for _ in range(2):
            with pytest.raises(Item.DoesNotExist):
                Item.objects.get(slug=slug)

    absent("b")
    item.slug = "b"
    item.save()
    assert Item.objects.get(slug="b").pk == item.pk
    absent("c")
    Item.objects.filter(pk=item.pk).update(slug="c")
    assert Item.objects.get(slug="c").pk == item.pk
    absent("cd")
    from django.db.models.functions import Concat

    Item.objects.filter(pk=item.pk).update(slug=Concat("slug", Value("d")))
    assert Item.objects.get(slug="cd").pk == item.pk
    absent("cde")
    item.slug = Concat("slug", Value("e"))
    item.save()
    assert Item.objects.get(slug="cde").pk == item.pk
    absent("f")
    item.slug = "f"
    Item.objects.bulk_update([item], ["slug"])
    assert Item.objects.get(slug="f").pk == item.pk
    absent("a")


def test_a_moved_lookup_never_finds_the_old_row(item: Item) -> None:
    other = Item.objects.create(name="two", slug="two")
    assert Item.objects.get(slug="one").pk == item.pk
    with transaction.atomic():
        Item.objects.filter(pk=item.pk).update(slug="tmp")
        Item.objects.filter(pk=other.pk).update(slug="one")
    assert Item.objects.get(slug="one").pk == other.pk
    assert Item.objects.get(slug="tmp").pk == item.pk
    with pytest.raises(Item.DoesNotExist):
        Item.objects.get(slug="two")
    other.delete()
    with pytest.raises(Item.DoesNotExist):
        Item.objects.get(slug="one")


def test_foreign_keys_are_hits(item: Item, django_assert_num_queries: Any) -> None:
    for n in range(3):
        Label.objects.create(item=item, text=str(n))
    labels = list(Label.objects.order_by("pk"))
    with django_assert_num_queries(0):
        assert [label.item.name for label in labels] == ["one"] * 3
    with django_assert_num_queries(1):
        labels = list(Label.objects.order_by("pk").prefetch_related("item"))
    with django_assert_num_queries(0):
        assert [label.item.name for label in labels] == ["one"] * 3
    ByName.objects.create(item=item)
    by_name = ByName.objects.nocache().get()
    with django_assert_num_queries(0):
        assert by_name.item.pk == item.pk


def test_one_to_one_as_primary_key(item: Item, django_assert_num_queries: Any) -> None:
    Detail.objects.create(item=item, weight=5)
    detail = Detail.objects.get(pk=item.pk)
    with django_assert_num_queries(0):
        assert Detail.objects.get(item=item).weight == 5
        assert Detail.objects.get(item_id=item.pk).item.name == "one"
        assert detail.item.name == "one"
    detail.weight = 6
    detail.save()
    assert Detail.objects.get(pk=item.pk).weight == 6


def test_prefetches_of_a_cached_row_are_done(item: Item, django_assert_num_queries: Any) -> None:
    Label.objects.create(item=item, text="x")
    with django_assert_num_queries(1):
        found = Item.objects.prefetch_related("labels").get(pk=item.pk)
        assert [label.text for label in found.labels.all()] == ["x"]
    with django_assert_num_queries(1):
        (found,) = Item.objects.filter(pk__in=[item.pk]).prefetch_related("labels")
        assert len(found.labels.all()) == 1
    with django_assert_num_queries(1):
        found = Item.objects.prefetch_related("labels").in_bulk([item.pk])[item.pk]
        assert len(found.labels.all()) == 1
    with django_assert_num_queries(1):
        first = Item.objects.filter(pk=item.pk).prefetch_related("labels").first()
        assert first is not None
        assert len(first.labels.all()) == 1


def test_pages_come_in_the_querys_order(django_assert_num_queries: Any) -> None:
    pks = [Item.objects.create(name=str(n), slug=str(n)).pk for n in range(6)]
    wanted = [pks[3], pks[1], pks[1], pks[5], 10**9]
    assert [each.pk for each in Item.objects.filter(pk__in=wanted)] == sorted(pks[1:6:2])
    with django_assert_num_queries(0):
        up = Item.objects.filter(pk__in=wanted).order_by("pk")
        down = Item.objects.filter(pk__in=wanted).order_by("-id")
        assert [each.pk for each in up] == [pks[1], pks[3], pks[5]]
        assert [each.pk for each in down] == [pks[5], pks[3], pks[1]]
        assert [each.pk for each in up.reverse()] == [pks[5], pks[3], pks[1]]
    with django_assert_num_queries(1):
        by_name = Item.objects.filter(pk__in=wanted).order_by("-name")
        assert [each.pk for each in by_name] == [pks[5], pks[3], pks[1]]


def test_one_query_loads_what_a_page_lacks(django_assert_num_queries: Any) -> None:
    pks = [Item.objects.create(name=str(n), slug=str(n)).pk for n in range(6)]
    list(Item.objects.filter(pk__in=pks[:3]))
    with django_assert_num_queries(1):
        assert len(Item.objects.filter(pk__in=pks)) == 6
    with django_assert_num_queries(0):
        assert len(Item.objects.filter(pk__in=pks)) == 6


def test_a_manager_that_filters_is_respected(django_assert_num_queries: Any) -> None:
    row = Filtered.everything.create(n=1, hidden=True)
    assert Filtered.everything.get(pk=row.pk).n == 1
    with django_assert_num_queries(0):
        assert Filtered.everything.get(pk=row.pk).n == 1
    with pytest.raises(Filtered.DoesNotExist):
        Filtered.objects.get(pk=row.pk)
    assert list(Filtered.objects.filter(pk__in=[row.pk])) == []
    assert Filtered.objects.in_bulk([row.pk]) == {}
    assert Filtered.objects.filter(pk=row.pk).first() is None


def test_other_primary_keys(django_assert_num_queries: Any) -> None:
    row = UuidRow.objects.create(n=1)
    UuidRow.objects.get(pk=row.pk)
    with django_assert_num_queries(0):
        assert UuidRow.objects.get(pk=row.pk) == row
        assert UuidRow.objects.get(pk=str(row.pk)) == row
        assert UuidRow.objects.get(pk=row.pk.hex) == row
    for code in ("plain", "with space", "co:lon", "x" * 200, "ünï", "#", "", "slug=a"):
        TextRow.objects.create(code=code, n=1)
        TextRow.objects.get(pk=code)
        with django_assert_num_queries(0):
            assert TextRow.objects.get(pk=code).code == code
        TextRow.objects.filter(pk=code).update(n=2)
        assert TextRow.objects.get(pk=code).n == 2


@pytest.mark.parametrize("wrong", ["abc", [1], {}, object(), 1.5, None, True, 2**80, "", b"1"])
def test_a_wrong_key_does_what_django_does(wrong: Any, item: Item) -> None:
    def outcome(queryset: Any) -> Any:
        try:
            return queryset.get(pk=wrong)
        except Exception as error:
            return type(error), str(error)

    Item.objects.filter(pk=1).exists()
    assert outcome(Item.objects) == outcome(Item.objects.nocache())


@override_settings(CACHEPATTERNS={"ENABLED": False})
def test_switched_off_reads_go_to_the_database(item: Item, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(2):
        Item.objects.get(pk=item.pk)
        Item.objects.get(pk=item.pk)


def test_a_repeatable_read_transaction_publishes_nothing(item: Item, elsewhere: Any) -> None:
    from django.db import connection

    Item.objects.filter(pk=item.pk).update(stock=1)  # the entry is gone
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            cursor.execute("SELECT 1")
        elsewhere(lambda: Item.objects.filter(pk=item.pk).update(stock=2))
        assert Item.objects.get(pk=item.pk).stock == 1, "what its snapshot shows"
    assert Item.objects.get(pk=item.pk).stock == 2


def test_a_transaction_that_has_written_by_hand_publishes_nothing(
    item: Item, elsewhere: Any
) -> None:
    from django.db import connection

    Item.objects.filter(pk=item.pk).update(stock=1)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("UPDATE testapp_item SET stock = 666")
        assert Item.objects.get(pk=item.pk).stock == 666
        raise ZeroDivisionError
    assert elsewhere(lambda: Item.objects.get(pk=item.pk).stock) == 1


def test_reads_inside_a_transaction_are_cached(item: Item, django_assert_num_queries: Any) -> None:
    Item.objects.filter(pk=item.pk).update(stock=1)
    with transaction.atomic():
        Item.objects.get(pk=item.pk)
        with django_assert_num_queries(0):
            assert Item.objects.get(pk=item.pk).stock == 1


def test_async_reads_and_writes(item: Item) -> None:
    async def story() -> None:
        found = await Item.objects.aget(pk=item.pk)
        found.name = "two"
        await found.asave()
        assert (await Item.objects.aget(pk=item.pk)).name == "two"
        await Item.objects.filter(pk=item.pk).aupdate(name="three")
        names = [each.name async for each in Item.objects.filter(pk__in=[item.pk])]
        assert names == ["three"]
        await sync_to_async(found.delete)()
        assert await Item.objects.filter(pk=item.pk).afirst() is None

    run(story())


def test_instances_observed_by_signals_are_made_by_django(item: Item) -> None:
    from django.db.models.signals import post_init

    seen: list[Any] = []

    def receiver(instance: Any, **kwargs: Any) -> None:
        seen.append(instance)

    post_init.connect(receiver, sender=Item)
    try:
        found = Item.objects.get(pk=item.pk)
    finally:
        post_init.disconnect(receiver, sender=Item)
    assert seen == [found]
