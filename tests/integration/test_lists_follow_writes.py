"""A cached queryset is loaded anew after a write to any table in it, and only then."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import Count, Exists, F, OuterRef, Prefetch, Subquery, Sum
from django.test.utils import CaptureQueriesContext

from django_cachepatterns import invalidate
from tests.testapp.models import (
    Bar,
    Building,
    Cafe,
    Category,
    Everything,
    Filtered,
    Item,
    ItemProxy,
    Label,
    Mark,
    OddTable,
    OtherSchema,
    Piece,
    Place,
    School,
    Shelf,
    TtlOnly,
    Versioned,
)

from .exact import exactly
from .test_lists import world  # noqa: F401 - a fixture

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("world")]

Query = Callable[[], Any]
"""A queryset whose `cache()` is asked."""


def loads(queryset: Any) -> bool:
    """Whether a cached queryset had to be loaded; what it gives is right in any case."""
    with CaptureQueriesContext(connection) as context:
        found = exactly(list(queryset.all().cache()))
        number = queryset.all().cache().count()
    statements = [q["sql"] for q in context.captured_queries if "current_setting" not in q["sql"]]
    assert found == exactly(list(queryset.nocache()))
    assert number == queryset.nocache().count()
    return bool(statements)


def item(slug: str) -> Item:
    return Item.objects.nocache().get(slug=slug)


LISTS: dict[str, Query] = {
    "rows": lambda: Item.objects.filter(stock__gt=2).order_by("pk"),
    "select_related": lambda: Item.objects.select_related("shelf").order_by("pk"),
    "values over a join": lambda: Item.objects.order_by("pk").values("name", "shelf__name"),
    "a filter over a join": lambda: Item.objects.filter(shelf__name="top").order_by("pk"),
    "a count of a reverse relation": lambda: Item.objects.annotate(n=Count("labels")).order_by(
        "pk"
    ),
    "many to many": lambda: Piece.objects.filter(marks__name="m1").order_by("pk"),
    "a count of a many to many": lambda: Piece.objects.annotate(n=Count("marks")).order_by("pk"),
    "Exists": lambda: Item.objects.filter(Exists(Label.objects.filter(item=OuterRef("pk")))),
    "Subquery": lambda: Shelf.objects.order_by("pk").annotate(
        s=Subquery(Item.objects.filter(shelf=OuterRef("pk")).order_by("-stock").values("stock")[:1])
    ),
    "in a queryset": lambda: Shelf.objects.filter(items__in=Item.objects.filter(stock__gt=5)),
    "union": lambda: Item.objects.values_list("name").union(Label.objects.values_list("text")),
    "a child's": lambda: Cafe.objects.order_by("pk"),
    "a parent's": lambda: Place.objects.order_by("pk"),
    "a child of a plain parent": lambda: School.objects.order_by("pk"),
    "a proxy's": lambda: ItemProxy.objects.order_by("pk"),
    "an odd table": lambda: OddTable.objects.filter(n__gt=0).order_by("pk"),
    "another schema": lambda: OtherSchema.objects.filter(n__gt=0).order_by("pk"),
    "versioned rows": lambda: Versioned.objects.filter(n__gt=1).order_by("pk"),
    "a manager that hides": lambda: Filtered.objects.order_by("pk"),
}

WRITES: dict[str, tuple[Callable[[], Any], set[str]]] = {
    "save": (
        lambda: Item(pk=item("s1").pk, name="x", slug="s1", stock=50).save(),
        {"rows", "select_related", "values over a join", "a filter over a join"}
        | {"a count of a reverse relation", "Exists", "Subquery", "in a queryset", "union"}
        | {"a proxy's"},
    ),
    "a related row": (
        lambda: Shelf.objects.filter(name="top").update(name="TOP"),
        {"select_related", "values over a join", "a filter over a join", "Subquery"}
        | {"in a queryset"},
    ),
    "a reverse relation's row": (
        lambda: Label.objects.create(item=item("s0"), text="new"),
        {"a count of a reverse relation", "Exists", "union"},
    ),
    "bulk": (
        lambda: Label.objects.bulk_create([Label(item=item("s8"), text="new")]),
        {"a count of a reverse relation", "Exists", "union"},
    ),
    "a cascade": (
        lambda: item("s0").delete(),
        {"rows", "select_related", "values over a join", "a filter over a join"}
        | {"a count of a reverse relation", "Exists", "Subquery", "in a queryset", "union"}
        | {"a proxy's"},
    ),
    "add": (
        lambda: Piece.objects.nocache().get(slug="p0").marks.add(Mark.objects.get(name="m1")),
        {"many to many", "a count of a many to many"},
    ),
    "remove": (
        lambda: Piece.objects.nocache().get(slug="p2").marks.remove(Mark.objects.get(name="m1")),
        {"many to many", "a count of a many to many"},
    ),
    "set, from the other end": (
        lambda: Mark.objects.nocache().get(name="m1").pieces.set([]),
        {"many to many", "a count of a many to many"},
    ),
    "clear": (
        lambda: Piece.objects.nocache().get(slug="p3").marks.clear(),
        {"many to many", "a count of a many to many"},
    ),
    "a through row": (
        lambda: Piece.marks.through.objects.create(
            piece=Piece.objects.get(slug="p0"), mark=Mark.objects.get(name="m1")
        ),
        {"many to many", "a count of a many to many"},
    ),
    "the other end's row": (
        lambda: Mark.objects.filter(name="m1").delete(),
        {"many to many", "a count of a many to many"},
    ),
    "a child": (lambda: Cafe.objects.update(seats=F("seats") + 10), {"a child's", "a parent's"}),
    "a child's parent": (
        lambda: Place.objects.filter(name="cafe 1").update(name="new"),
        {"a child's", "a parent's"},
    ),
    "another child": (lambda: Bar.objects.create(name="b", beers=1), {"a child's", "a parent's"}),
    "a child of a plain parent": (
        lambda: School.objects.create(city="x", pupils=3),
        {"a child of a plain parent"},
    ),
    "a plain parent": (
        lambda: Building.objects.update(city="y"),
        {"a child of a plain parent"},
    ),
    "a proxy": (
        lambda: ItemProxy.objects.filter(slug="s3").update(name="new"),
        {"rows", "select_related", "values over a join", "a filter over a join"}
        | {"a count of a reverse relation", "Exists", "Subquery", "in a queryset", "union"}
        | {"a proxy's"},
    ),
    "an odd table": (lambda: OddTable.objects.update(n=2), {"an odd table"}),
    "another schema": (lambda: OtherSchema.objects.update(n=2), {"another schema"}),
    "versioned rows": (
        lambda: Versioned.objects.filter(n=0).update(n=7),
        {"versioned rows"},
    ),
    "what a manager hides": (
        lambda: Filtered.everything.filter(hidden=True).update(hidden=False),
        {"a manager that hides"},
    ),
    "bulk_update": (
        lambda: Filtered.everything.bulk_update(Filtered.everything.all(), ["n"]),
        {"a manager that hides"},
    ),
}


@pytest.fixture(autouse=True)
def schools() -> None:
    School.objects.create(city="a", pupils=1)


@pytest.mark.parametrize("name", WRITES)
def test_a_write_reaches_the_lists_of_its_tables_and_no_others(name: str) -> None:
    write, concerned = WRITES[name]
    for each in LISTS.values():
        loads(each())
    assert not {name for name, each in LISTS.items() if loads(each())}, "they are cached"
    write()
    assert {name for name, each in LISTS.items() if loads(each())} == concerned
    assert not {name for name, each in LISTS.items() if loads(each())}, "they are cached again"


def test_what_is_prefetched_from_the_cache_follows_writes() -> None:
    def pieces() -> Any:
        marks = Prefetch("marks", queryset=Mark.objects.order_by("pk").cache())
        return exactly(list(Piece.objects.order_by("pk").prefetch_related(marks).cache()))

    before = pieces()
    assert pieces() == before
    Piece.objects.get(slug="p0").marks.add(Mark.objects.get(name="m2"))
    after = pieces()
    assert after != before
    plain = Piece.objects.nocache().order_by("pk")
    marks = Prefetch("marks", queryset=Mark.objects.nocache().order_by("pk"))
    assert after == exactly(list(plain.prefetch_related(marks)))


def test_an_aggregate_follows_writes() -> None:
    def total() -> Any:
        return Item.objects.filter(shelf__name="top").cache().aggregate(Sum("stock"))

    before = total()
    Item.objects.filter(slug="s0").update(stock=100)
    assert total() == {"stock__sum": before["stock__sum"] + 100}
    Shelf.objects.update(name="gone")
    assert total() == {"stock__sum": None}


def test_a_transaction_reads_its_own_writes_and_others_do_not() -> None:
    page = Item.objects.filter(stock__gt=2).order_by("pk")
    number = len(page.cache())
    with transaction.atomic():
        Item.objects.filter(slug="s8").update(stock=0)
        assert len(page.all().cache()) == number - 1
        assert page.all().cache().count() == number - 1
        transaction.set_rollback(True)
    assert len(page.all().cache()) == number
    assert page.all().cache().count() == number


@pytest.mark.django_db(transaction=True)
def test_what_is_not_committed_is_seen_by_nobody_else(elsewhere: Any) -> None:
    def numbers() -> tuple[int, int]:
        page = Item.objects.filter(stock__gt=2)
        return len(page.cache()), page.all().cache().count()

    before = numbers()
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        Item.objects.filter(slug="s8").update(stock=0)
        assert numbers() == (before[0] - 1, before[1] - 1)
        assert elsewhere(numbers) == before
        raise ZeroDivisionError
    assert numbers() == before == elsewhere(numbers)
    with transaction.atomic():
        Item.objects.filter(slug="s8").update(stock=0)
        numbers()
    assert numbers() == (before[0] - 1, before[1] - 1) == elsewhere(numbers)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_an_old_snapshot_is_never_stored(level: str, elsewhere: Any) -> None:
    def number() -> int:
        return Item.objects.filter(stock__gt=2).cache().count()

    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(f"SET TRANSACTION ISOLATION LEVEL {level}")
        old = Item.objects.nocache().filter(stock__gt=2).count()
        elsewhere(lambda: Item.objects.filter(stock__gt=2).delete())
        assert number() == old, "as its snapshot shows"
        assert len(Item.objects.filter(stock__gt=2).cache()) == old
    assert number() == 0
    assert list(Item.objects.filter(stock__gt=2).cache()) == []


def test_a_tag_of_ones_own() -> None:
    page = Item.objects.filter(stock__gt=2).order_by("pk").cache(tags=["catalog", "front"])
    assert not (loaded(page), loaded(page))[1]
    invalidate("front")
    assert loaded(page)
    assert not loaded(page)
    invalidate("another")
    assert not loaded(page)


def test_invalidating_an_object_or_a_model() -> None:
    page = Piece.objects.filter(category__isnull=False).order_by("pk").cache()
    of_one = Piece.objects.filter(category=Category.objects.get(name="red")).cache()
    piece = Piece.objects.get(slug="p0")
    for target in (piece, Piece):
        loaded(page), loaded(of_one)
        assert not loaded(page)
        assert not loaded(of_one)
        invalidate(target)
        assert loaded(page)
        assert loaded(of_one)


def test_invalidating_an_object_locks_no_row(elsewhere: Any) -> None:
    with transaction.atomic(), CaptureQueriesContext(connection) as context:
        invalidate(Piece.objects.get(slug="p0"))
    assert not [q for q in context.captured_queries if "FOR " in q["sql"]]


def loaded(queryset: Any) -> bool:
    with CaptureQueriesContext(connection) as context:
        list(queryset.all())
    return bool(context.captured_queries)


# A list that only ages


def test_a_list_that_ages_keeps_its_rows_up_to_date() -> None:
    page = Item.objects.filter(stock__gt=2).order_by("pk").cache(ttl=60, invalidation="ttl")
    first = list(page.all())
    Item.objects.filter(slug="s8").update(stock=0, name="new")
    found = list(page.all())
    assert [each.pk for each in found] == [each.pk for each in first], "the list is as it was"
    assert found[-1].name == "new", "its rows are not"
    Item.objects.filter(slug="s8").delete()
    with CaptureQueriesContext(connection) as context:
        assert [each.pk for each in page.all()] == [each.pk for each in first[:-1]]
        list(page.all())
    assert not [q for q in context.captured_queries if "ORDER BY" in q["sql"]]


def test_an_ageing_list_with_a_tag_of_ones_own() -> None:
    page = Item.objects.filter(stock__gt=2).order_by("pk")
    page = page.cache(ttl=60, invalidation="ttl", tags="front")
    number = len(page.all())
    Item.objects.filter(slug="s8").delete()
    assert len(page.all()) == number - 1
    Item.objects.create(name="x", slug="x", stock=10)
    assert len(page.all()) == number - 1
    invalidate("front")
    assert len(page.all()) == number


@pytest.mark.django_db(transaction=True)
def test_rows_of_a_list_that_ages_are_stored_by_themselves_only(elsewhere: Any) -> None:
    """No version tells of a write between the query and the storing of its rows."""
    page = Item.objects.filter(stock__gt=2).order_by("pk")
    page = page.cache(ttl=60, invalidation="ttl", tags="front")
    seen: list[str] = []

    def meddle(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        result = execute(sql, params, many, context)
        if "ORDER BY" in sql and not seen:
            seen.append(sql)
            elsewhere(lambda: Item.objects.filter(slug="s8").update(name="newest"))
        return result

    with connection.execute_wrapper(meddle):
        pks = [row.pk for row in page.all()]
    assert seen
    assert Item.objects.get(pk=pks[-1]).name == "newest"


@pytest.mark.parametrize("pinned", [True, False])
def test_a_list_of_rows_that_age_is_as_old_as_was_said_at_most(pinned: bool) -> None:
    """Their own entries may be older, and no tag of a list's is theirs."""
    row = TtlOnly.objects.create(n=1)
    page = TtlOnly.objects.filter(pk=row.pk) if pinned else TtlOnly.objects.order_by("pk")
    assert page.nocache().get().n == TtlOnly.objects.get(pk=row.pk).n == 1
    TtlOnly.objects.update(n=2)
    cached = page.cache(ttl=5, tags="front")

    def numbers() -> list[int]:
        values = cached.values_list("n", flat=True)
        return [cached.all()[0].n, cached.first().n, *(row.n for row in cached.all()), *values]

    assert numbers() == [2, 2, 2, 2]
    TtlOnly.objects.update(n=3)
    assert numbers() == [2, 2, 2, 2]
    assert not loaded(cached)
    invalidate("front")
    assert numbers() == [3, 3, 3, 3]
    assert TtlOnly.objects.get(pk=row.pk).n == 1


# Rows that depend on their table's version


@pytest.mark.django_db(transaction=True)
def test_one_write_makes_all_versioned_rows_stale(django_assert_num_queries: Any) -> None:
    rows = Versioned.objects.bulk_create([Versioned(n=n) for n in range(3)])
    for row in rows:
        Versioned.objects.get(pk=row.pk)
    with django_assert_num_queries(0):
        assert [Versioned.objects.get(pk=row.pk).n for row in rows] == [0, 1, 2]
        assert len(Versioned.objects.filter(pk__in=[row.pk for row in rows])) == 3
    Versioned.objects.filter(pk=rows[0].pk).update(n=5)
    with django_assert_num_queries(3):
        assert [Versioned.objects.get(pk=row.pk).n for row in rows] == [5, 1, 2]


def test_a_write_of_many_versioned_rows_marks_one_key(monkeypatch: Any) -> None:
    from django_cachepatterns.stores import RedisStore

    Versioned.objects.bulk_create([Versioned(n=n) for n in range(100)])
    marked: list[bytes] = []
    plain = RedisStore.begin_write

    def spied(store: Any, keys: Any, *args: Any) -> Any:
        marked.extend(keys)
        return plain(store, keys, *args)

    monkeypatch.setattr(RedisStore, "begin_write", spied)
    with transaction.atomic():
        Versioned.objects.update(n=5)
        Versioned.objects.filter(n=5).delete()
    assert len(marked) == 1
    assert marked[0].endswith(b"testapp.versioned:~rows")


# What others might change in what they were given


def test_callers_do_not_share_what_they_were_given() -> None:
    one = Everything.objects.create(ints=[1], json={"a": [1]}, hstore={"a": "b"}, commas=["x"])
    queries: dict[str, Callable[[], Any]] = {
        "rows": lambda: list(Everything.objects.filter(pk=one.pk, small=None).cache()),
        "twice the same": lambda: list(
            Everything.objects.filter(pk=one.pk)
            .union(Everything.objects.filter(pk=one.pk), all=True)
            .cache()
        ),
        "values": lambda: list(Everything.objects.filter(pk=one.pk, small=None).values().cache()),
    }
    for name, query in queries.items():
        for _ in range(3):
            for row in query():
                values = row if isinstance(row, dict) else vars(row)
                assert values["ints"] == [1], name
                assert values["json"] == {"a": [1]}, name
                assert values["hstore"] == {"a": "b"}, name
                assert values["commas"] == ["x"], name
                values["ints"].append(2)
                values["json"]["a"].append(2)
                values["hstore"]["c"] = "d"
                values["commas"].append("y")


def test_a_row_that_a_join_gives_twice_is_two_instances(redis_client: Any) -> None:
    Label.objects.bulk_create([Label(item=item("s8"), text=f"twice {n}") for n in range(2)])
    twice = Item.objects.filter(labels__text__startswith="twice").cache()
    for _ in range(3):
        one, two = twice.all()
        assert one is not two
        one.name = "changed"
        assert two.name == "n2"
    # Where a row's own entry is gone, it is loaded once, for both.
    redis_client.delete(*redis_client.scan_iter(f"*:testapp.item:{one.pk}"))
    one, two = twice.all()
    assert one is not two
    one.name = "changed"
    assert two.name == "n2"


def test_dates_and_numbers_keep_their_types() -> None:
    at = dt.datetime(2024, 1, 2, tzinfo=dt.UTC)
    Everything.objects.create(decimal=Decimal("1.10"), at=at)
    for _ in range(2):
        found = Everything.objects.filter(at=at).values_list("decimal", "at").cache().get()
        assert str(found[0]) == "1.1000000000"
        assert found[1] == at
