"""What `.cache()` refuses: each error names the fault and the remedy."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.db.models import BooleanField, DateTimeField, F, OuterRef, Subquery, Sum, Value
from django.db.models.expressions import RawSQL
from django.db.models.functions import Now, Random
from django.test.utils import CaptureQueriesContext

from django_cachepatterns.exceptions import PolicyError, UncacheableQuery
from tests.testapp.models import Building, Item, School, Shelf
from tests.testapp.plain import Clerk, Office

pytestmark = pytest.mark.django_db


class Odd:
    def __init__(self, value: int) -> None:
        self.value = value


class OddValue(Value):
    """An expression that has a parameter of a type of its own."""

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        return "%s", [Odd(self.value)]


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "Now": (lambda: Item.objects.annotate(x=Now()), r"STATEMENT_TIMESTAMP.*Compute the value"),
    "Now in a filter": (
        lambda: Item.objects.alias(x=Now()).filter(x__gt=dt.datetime(2024, 1, 1, tzinfo=dt.UTC)),
        r"STATEMENT_TIMESTAMP",
    ),
    "Random": (lambda: Item.objects.annotate(x=Random()), "RANDOM"),
    "order_by('?')": (lambda: Item.objects.order_by("?"), "RANDOM"),
    "a moment in raw SQL": (
        lambda: Item.objects.annotate(
            x=RawSQL("'today'::timestamptz", (), output_field=DateTimeField())
        ),
        "'today'",
    ),
    "a table in raw SQL": (
        lambda: Item.objects.annotate(x=RawSQL("(SELECT max(id) FROM testapp_shelf)", ())),
        "reads 'testapp_shelf' by raw SQL.*Say it with the ORM",
    ),
    "a table after a comma": (
        lambda: Item.objects.annotate(
            x=RawSQL('(SELECT max(s.id) FROM "testapp_item" i, testapp_shelf s)', ())
        ),
        "testapp_shelf",
    ),
    "a table in parentheses": (
        lambda: Item.objects.annotate(
            x=RawSQL('(SELECT 1 FROM (testapp_shelf CROSS JOIN "testapp_item") LIMIT 1)', ())
        ),
        "testapp_shelf",
    ),
    "a table that is no model's": (
        lambda: Item.objects.extra(tables=["django_migrations"]),
        "django_migrations",
    ),
    "a function that gives rows": (
        lambda: Item.objects.annotate(x=RawSQL("(SELECT max(g) FROM generate_series(1, 2) g)", ())),
        "generate_series",
    ),
    "extra where": (
        lambda: Item.objects.extra(where=["id IN (SELECT item_id FROM testapp_label)"]),
        "testapp_label",
    ),
    "a model that is not followed": (
        lambda: Item.objects.annotate(n=Subquery(Office.objects.values("pk")[:1])),
        r"testapp\.Office, whose writes are not followed.*CachedModel.*POLICIES.*'testapp\.Office'",
    ),
    "a parameter without a stable text": (
        lambda: Item.objects.annotate(x=OddValue(1)),
        r"Parameter 1 .*\.Odd, which has no stable text.*Filter by a plain value",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize(
    "ask",
    [
        lambda queryset: list(queryset),
        lambda queryset: queryset.count(),
        lambda queryset: queryset.exists(),
        lambda queryset: queryset.aggregate(Sum("stock")),
    ],
    ids=["list", "count", "exists", "aggregate"],
)
def test_it_says_what_is_wrong_and_what_to_do(name: str, ask: Callable[[Any], Any]) -> None:
    made, message = REFUSED[name]
    with pytest.raises(UncacheableQuery, match=message) as caught:
        ask(made().cache())
    assert "CACHEPATTERNS" in str(caught.value) or "eave .cache() out" in str(caught.value)


def test_a_query_of_a_model_whose_parent_is_plain_is_not_refused() -> None:
    School.objects.create(city="a", pupils=1)
    Building.objects.create(city="b")
    assert [school.city for school in School.objects.cache()] == ["a"]


@pytest.mark.parametrize("name", [n for n in REFUSED if "parameter" not in n])
def test_what_only_ages_may_depend_on_anything(name: str) -> None:
    Item.objects.create(name="x", slug="x")
    made, _ = REFUSED[name]
    queryset = made().cache(ttl=60, invalidation="ttl")
    first = list(queryset.values().all())
    with CaptureQueriesContext(connection) as context:
        assert list(queryset.values().all()) == first
    assert not context.captured_queries


@pytest.mark.parametrize(
    "queryset",
    [
        lambda: Item.objects.filter(name="IS DISTINCT FROM x"),
        lambda: Item.objects.filter(name="now"),
        lambda: Item.objects.annotate(x=RawSQL("stock IS DISTINCT FROM 1", (), BooleanField())),
        lambda: Item.objects.annotate(x=RawSQL("extract(year from DATE '2024-01-01')", ())),
        lambda: Item.objects.annotate(x=RawSQL("trim(both ' ' from '  FROM a ')", ())),
        lambda: Item.objects.annotate(x=RawSQL('(SELECT max(s.id) FROM "testapp_shelf" s)', ())),
        lambda: Item.objects.extra(tables=["testapp_shelf"]).order_by("pk"),
    ],
)
def test_what_only_looks_wrong_is_not_refused(queryset: Callable[[], Any]) -> None:
    Shelf.objects.create(name="x")
    Item.objects.create(name="now", slug="x")
    assert list(queryset().cache().values()) == list(queryset().nocache().values())
    Shelf.objects.create(name="y")
    assert list(queryset().cache().values()) == list(queryset().nocache().values())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ttl": 0}, r"\.cache\(\) of testapp\.Item: ttl is 0.*Set ttl"),
        ({"ttl": -1}, "ttl is -1"),
        ({"ttl": "5"}, "ttl is '5'"),
        ({"ttl": None, "soft_ttl": 9999}, "soft_ttl is 9999"),
        ({"tll": 5}, "tll.*"),
        ({"invalidation": "never"}, "invalidation is 'never'.*Use one of"),
        ({"stampede": "panic"}, "stampede is 'panic'"),
        ({"stampede": "stale_while_revalidate"}, "there is no soft_ttl"),
        ({"admit_after": 0}, "admit_after is 0"),
        ({"max_size": "big"}, "max_size is 'big'"),
    ],
)
def test_wrong_options_are_refused_at_once(options: dict[str, Any], message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        Item.objects.cache(**options)


def test_raw_queries_are_refused() -> None:
    with pytest.raises(UncacheableQuery, match=r"raw\(\).*cache_aside.*depends_on"):
        Item.objects.cache().raw("SELECT * FROM testapp_item")
    assert list(Item.objects.raw("SELECT * FROM testapp_item")) == []


def test_djangos_own_errors_stay_as_they_are() -> None:
    Item.objects.bulk_create([Item(name="x", slug="x"), Item(name="y", slug="y")])
    with pytest.raises(TypeError, match="limit"):
        Item.objects.cache()[:1].delete()
    with pytest.raises(TypeError, match="slice"):
        Item.objects.cache()[:1].filter(name="x")
    for wrong in (
        lambda q: q.aggregate(Sum("nothing")),
        lambda q: q.aggregate(Sum("stock") + 1),
        lambda q: q.aggregate(x=F("stock")),
        lambda q: q.aggregate(x=1),
        lambda q: q.aggregate(5),
        lambda q: q.filter(nothing=1),
        lambda q: q.get(),
        lambda q: q.filter(name="nobody").get(),
        lambda q: q.distinct("name").aggregate(Sum("stock")),
        lambda q: list(q.filter(shelf=OuterRef("pk"))),
    ):
        with pytest.raises(Exception) as plain:  # noqa: PT011
            wrong(Item.objects.nocache())
        with pytest.raises(type(plain.value)) as caught:
            wrong(Item.objects.cache())
        assert str(caught.value) == str(plain.value)


def test_models_that_are_not_followed_can_be_named(settings: Any) -> None:
    office = Office.objects.create(name="a")
    Clerk.objects.create(name="ada", office=office)
    settings.CACHEPATTERNS = {
        **settings.CACHEPATTERNS,
        "POLICIES": {"testapp.Office": {}, "testapp.Clerk": {}},
    }

    def best() -> Any:
        best = Subquery(Office.objects.order_by("-name").values("name")[:1])
        return Item.objects.annotate(x=best).values_list("x", flat=True).cache()

    Item.objects.create(name="x", slug="x")
    assert list(best()) == ["a"]
    Office.objects.update(name="b")
    assert list(best()) == ["b"]
