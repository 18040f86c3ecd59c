"""What a cached queryset costs in commands and statements, and what it does not change."""

from __future__ import annotations

import asyncio
import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connection, connections, models, transaction
from django.db.models import Prefetch, Sum
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from django_cachepatterns import metrics
from django_cachepatterns.orm import lists
from tests.testapp.models import Everything, Item, Label, Mark, Piece, Shelf

from .exact import exactly
from .test_round_trips import Listening, listening  # noqa: F401 - a fixture
from .test_tenants_and_routers import router

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


@pytest.fixture
def items() -> list[Item]:
    shelf = Shelf.objects.create(name="top")
    return Item.objects.bulk_create(
        [Item(name=f"n{n}", slug=f"s{n}", shelf=shelf, place=n, stock=n) for n in range(60)]
    )


def page() -> Any:
    return Item.objects.filter(stock__gt=2).order_by("-stock")[:50].cache()


def statements(read: Callable[[], Any]) -> list[str]:
    with CaptureQueriesContext(connection) as context:
        read()
    return [query["sql"].split()[0] for query in context.captured_queries]


def test_a_cold_list_is_one_statement_and_leaves_its_rows_cached(items: list[Item]) -> None:
    assert statements(lambda: list(page())) == ["SELECT"]
    assert statements(lambda: list(page())) == []
    assert statements(lambda: [Item.objects.get(pk=item.pk) for item in items[10:60]]) == []


def test_a_cold_list_costs_no_more_round_trips_for_more_rows(
    items: list[Item],
    listening: Listening,  # noqa: F811
) -> None:
    with listening() as trips:
        list(page())
    # Look, lease and read the versions; the rows' leases, their fill; the list's fill.
    assert [names[0] for names in trips] == ["MGET", "SET", "SET", "EVALSHA", "EVALSHA"]


def test_a_list_of_fifty_is_two_round_trips_and_no_statement(
    items: list[Item],
    listening: Listening,  # noqa: F811
) -> None:
    list(page())
    lists._guesses.clear()  # As in a process that has not seen it.
    with listening() as trips:
        assert statements(lambda: list(page())) == []
    assert trips == [["MGET"], ["MGET"]]
    with listening() as trips:
        assert statements(lambda: list(page())) == []
    assert trips == [["MGET"]]


@pytest.mark.parametrize(
    "read",
    [
        lambda: page().count(),
        lambda: page().exists(),
        lambda: page().aggregate(Sum("stock")),
        lambda: list(page().values("name")),
        lambda: list(page().values_list("name", flat=True)),
        lambda: list(page().select_related("shelf")),
        lambda: list(Item.objects.filter(name="nobody").cache()),
        lambda: Item.objects.filter(name="nobody").cache().first(),
    ],
    ids=["count", "exists", "aggregate", "values", "flat", "select_related", "empty", "no first"],
)
def test_one_round_trip(
    items: list[Item],
    read: Callable[[], Any],
    listening: Listening,  # noqa: F811
) -> None:
    read()
    with listening() as trips:
        assert statements(read) == []
    assert trips == [["MGET"]]


def test_what_is_known_to_be_empty_costs_nothing(listening: Listening) -> None:  # noqa: F811
    with listening() as trips:
        assert list(Item.objects.filter(pk__in=[]).order_by("name").cache()) == []
        assert list(Item.objects.none().cache()) == []
        assert Item.objects.none().cache().count() == 0
        assert not Item.objects.cache().none().exists()
        assert Item.objects.none().cache().aggregate(Sum("stock")) == {"stock__sum": None}
    assert trips == []


def test_what_was_evaluated_is_not_asked_again(
    items: list[Item],
    listening: Listening,  # noqa: F811
) -> None:
    found = page()
    list(found)
    with listening() as trips:
        assert (len(found), bool(found), found.count(), found.exists()) == (50, True, 50, True)
        assert found[0] == items[-1]
        assert found.contains(items[-1])
    assert trips == []


def test_a_changed_row_costs_one_statement(items: list[Item]) -> None:
    """The list's own: it finds the others' entries, and leaves one for the changed row."""
    list(page())
    Item.objects.filter(pk=items[20].pk).update(name="new")
    read = statements(lambda: list(page()))
    assert read == ["SELECT"]
    assert next(item.name for item in page() if item.pk == items[20].pk) == "new"


def test_lists_share_their_rows(items: list[Item]) -> None:
    list(page())
    other = Item.objects.filter(stock__gte=10).order_by("pk").cache()
    before = metrics.snapshot()["fill"]
    list(other)
    assert metrics.snapshot()["fill"] == before + 1, "the list, and none of its rows"


# Saying it


def test_it_can_be_said_at_any_point(items: list[Item]) -> None:
    for made in (
        lambda: Item.objects.cache().filter(stock__gt=2).order_by("pk"),
        lambda: Item.objects.filter(stock__gt=2).cache().order_by("pk"),
        lambda: Item.objects.filter(stock__gt=2).order_by("pk").cache(),
        lambda: Item.objects.filter(stock__gt=2).order_by("pk").cache().all(),
        lambda: Item.objects.nocache().filter(stock__gt=2).order_by("pk").cache(),
        lambda: Item.objects.cache(ttl=9).filter(stock__gt=2).order_by("pk").cache(),
    ):
        list(made())
        assert statements(lambda: list(made())) == []  # noqa: B023


def test_the_last_word_holds(items: list[Item]) -> None:
    list(page())
    assert statements(lambda: list(page().nocache())) == ["SELECT"]
    assert statements(lambda: page().nocache().count()) == ["SELECT"]
    assert page().cache(ttl=5)._cache_options.changes == {"ttl": 5}
    assert page().cache(ttl=5).cache(tags="a")._cache_options.changes == {}


def test_it_changes_no_other_queryset(items: list[Item]) -> None:
    plain = Item.objects.filter(stock__gt=2).order_by("pk")
    plain.cache()
    assert statements(lambda: (list(plain.all()), list(plain.all()))) == ["SELECT", "SELECT"]


def test_what_goes_to_the_database_all_the_same(items: list[Item]) -> None:
    list(page())
    everything = Item.objects.filter(stock__gt=2).cache()
    list(everything.all())
    assert statements(lambda: list(everything.iterator()))[:1] == ["DECLARE"]
    with transaction.atomic():
        assert statements(lambda: list(everything.select_for_update())) == ["SELECT"]
    with override_settings(CACHEPATTERNS={"ENABLED": False}):
        assert statements(lambda: list(everything.all())) == ["SELECT"]
        assert statements(everything.count) == ["SELECT"]


def test_writes_through_a_cached_queryset(items: list[Item]) -> None:
    cached = Item.objects.filter(stock__gt=2).cache()
    number = len(cached.all())
    assert cached.filter(stock=3).update(name="x") == 1
    assert cached.filter(stock=4).delete()[0] == 1
    assert len(cached.all()) == number - 1
    found, created = Item.objects.cache().get_or_create(slug="s3")
    assert (found.name, created) == ("x", False)
    Item.objects.cache().update_or_create(slug="s3", defaults={"name": "y"})
    assert cached.get(slug="s3").name == "y"
    Item.objects.cache().bulk_create([Item(name="z", slug="z", stock=99)])
    assert len(cached.all()) == number
    rows = list(cached.filter(stock__lt=10))
    for row in rows:
        row.name = "b"
    Item.objects.cache().bulk_update(rows, ["name"])
    assert {row.name for row in cached.filter(stock__lt=10)} == {"b"}


def test_it_can_be_copied_and_pickled(items: list[Item]) -> None:
    for made in (page(), page().values("name"), page().select_related("shelf")):
        expected = exactly(list(made.nocache()))
        assert exactly(list(pickle.loads(pickle.dumps(made)))) == expected
        assert exactly(list(copy.deepcopy(made))) == expected
        assert exactly(list(pickle.loads(pickle.dumps(list(made.all()))))) == expected
    again = Item.objects.cache().all()
    again.query = pickle.loads(pickle.dumps(page().query))
    assert exactly(list(again)) == exactly(list(page().nocache()))
    assert statements(lambda: list(again.all())) == []


def test_coroutines(items: list[Item]) -> None:
    async def story() -> Any:
        try:
            return await asked()
        finally:
            await sync_to_async(connections.close_all)()

    async def asked() -> Any:
        some = Item.objects.filter(stock__gt=2).order_by("-stock")
        for _ in range(2):
            found = [
                [item.pk async for item in page()],
                await page().acount(),
                await page().aexists(),
                await page().aaggregate(Sum("stock")),
                (await some.cache().aget(stock=9)).pk,
                (await some.cache().afirst()).pk,
                (await some.cache().alast()).pk,
                await some.cache().acontains(items[5]),
            ]
        return found

    found = asyncio.run(story())
    keys = [item.pk for item in reversed(items)]
    assert found == [
        keys[:50],
        50,
        True,
        {"stock__sum": sum(range(10, 60))},
        items[9].pk,
        keys[0],
        items[3].pk,
        True,
    ]


def test_prefetching_onto_a_cached_list(items: list[Item]) -> None:
    Label.objects.bulk_create([Label(item=item, text=item.name) for item in items])
    labels = Prefetch("labels", queryset=Label.objects.order_by("pk").cache())
    prefetched = page().prefetch_related(labels, "shelf")
    list(prefetched.all())
    with CaptureQueriesContext(connection) as context:
        found = [(item.shelf, [label.text for label in item.labels.all()]) for item in prefetched]
    assert not context.captured_queries
    assert found == [(items[0].shelf, [item.name]) for item in reversed(items[10:])]


# Databases


def test_a_replica_is_never_filled_from(items: list[Item]) -> None:
    Item.objects.using("other").create(name="lagging", slug="lagging", stock=1000)
    with override_settings(DATABASE_ROUTERS=[router("other", "default")]):
        for _ in range(2):
            found = list(page())
            assert [item.pk for item in found] == [item.pk for item in reversed(items[10:])]
            assert {item._state.db for item in found} == {"other"}, "as Django says it"
            assert page().values_list("name", flat=True)[0] == "n59"
            assert page().count() == 50
    assert page()[0].name == "n59"


def test_another_database_by_name(items: list[Item]) -> None:
    Item.objects.using("other").create(name="there", slug="there", stock=1000)
    for _ in range(2):
        assert [item.name for item in page().using("other")] == ["there"]
        assert page().using("other").count() == 1
        assert page().count() == 50
    Item.objects.using("other").update(name="changed")
    assert [item.name for item in page().using("other")] == ["changed"]


def test_the_primary_by_name_where_reads_are_routed_to_a_replica(items: list[Item]) -> None:
    with override_settings(DATABASE_ROUTERS=[router("other", "default")]):
        for _ in range(3):
            assert {item._state.db for item in page()} == {"other"}
            found = list(page().using("default"))
            assert {item._state.db for item in found} == {"default"}


def test_a_database_that_is_written_elsewhere_has_its_own_lists(items: list[Item]) -> None:
    Item.objects.using("other").create(name="there", slug="there", stock=1000)
    with override_settings(DATABASE_ROUTERS=[router("other", "other")]):
        for _ in range(2):
            assert [item.name for item in page()] == ["there"]
        Item.objects.update(name="changed")
        assert [item.name for item in page()] == ["changed"]
    assert page()[0].name == "n59"


def test_relations_of_rows_of_another_database() -> None:
    shelf = Shelf.objects.using("other").create(name="there")
    here = Shelf.objects.create(pk=shelf.pk, name="here")
    Item.objects.using("other").create(name="there", slug="a", shelf=shelf, stock=3)
    Item.objects.create(name="here", slug="a", shelf=here, stock=3)
    for _ in range(2):
        assert [item.name for item in shelf.items.filter(stock__gt=2).cache()] == ["there"]
        assert [item.name for item in here.items.filter(stock__gt=2).cache()] == ["here"]
    Item.objects.using("other").update(name="changed")
    assert [item.name for item in shelf.items.filter(stock__gt=2).cache()] == ["changed"]


def test_connections_are_not_mixed_up_by_hints(settings: Any) -> None:
    class ByInstance:
        """Rows of an instance's database stay there; everything else is the default's."""

        def db_for_read(self, model: Any, instance: Any = None, **hints: Any) -> str:
            return instance._state.db if instance is not None else "default"

        db_for_write = db_for_read

    settings.DATABASE_ROUTERS = [ByInstance()]
    shelf = Shelf.objects.using("other").create(name="there")
    Shelf.objects.using("default").create(pk=shelf.pk, name="here")
    Item.objects.using("other").create(pk=1, name="there", slug="a", shelf=shelf, stock=3)
    Item.objects.using("default").create(pk=1, name="here", slug="a", shelf_id=shelf.pk, stock=3)
    piece = Piece.objects.using("other").create(slug="a")
    there = Mark.objects.using("other").create(pk=1, name="there")
    Mark.objects.using("default").create(pk=1, name="here")
    piece.marks.add(there)
    for _ in range(3):
        assert [item.name for item in shelf.items.filter(stock__gt=2).cache()] == ["there"]
        assert [item.name for item in Item.objects.filter(stock__gt=2).cache()] == ["here"]
        assert [mark.name for mark in piece.marks.filter(pk__gt=0).cache()] == ["there"]
        assert [mark.name for mark in Mark.objects.filter(pk__gt=0).cache()] == ["here"]


# Values that cannot be kept


class Feeling(str):
    """What no codec knows."""

    __slots__ = ()


class FeelingField(models.TextField):
    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        return None if value is None else Feeling(value)


def test_what_cannot_be_carried_is_computed_each_time() -> None:
    from django.db.models import Max

    Everything.objects.create(text="fine")
    for _ in range(3):
        found = Everything.objects.cache().aggregate(x=Max("text", output_field=FeelingField()))
        assert type(found["x"]) is Feeling
    assert metrics.snapshot()["unencodable"]


def test_a_result_that_is_too_large_is_read_each_time(items: list[Item]) -> None:
    small = Item.objects.filter(stock__gt=2).values("name").cache(max_size=100)
    assert statements(lambda: (list(small.all()), list(small.all()))) == ["SELECT", "SELECT"]
    assert len(small) == 57


def test_what_was_not_asked_for_often_is_not_kept(items: list[Item]) -> None:
    def read() -> Any:
        return Item.objects.filter(stock__gt=2).cache(admit_after=3, tags="admitted").count()

    assert [statements(read) for _ in range(4)] == [["SELECT"]] * 3 + [[]]


def test_what_a_write_changed_is_never_served_stale(items: list[Item]) -> None:
    """Stale-while-revalidate is for what has aged."""
    late = Item.objects.filter(stock__gt=2).cache(
        ttl=60, soft_ttl=50, stampede="stale_while_revalidate", refresh="inline"
    )
    assert late.count() == 57
    Item.objects.filter(stock=5).delete()
    assert late.count() == 56


def test_lists_of_models_without_automatic_reads(settings: Any, items: list[Item]) -> None:
    settings.CACHEPATTERNS = {
        **settings.CACHEPATTERNS,
        "POLICIES": {"testapp.Item": {"pattern": "cache_aside"}},
    }
    list(page())
    assert statements(lambda: list(page())) == []
    Item.objects.filter(stock=59).update(name="new")
    assert page()[0].name == "new"
    assert Piece.objects.cache().count() == 0
