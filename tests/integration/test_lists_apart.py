"""Queries that share all or nearly all of their SQL, and not their results."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from contextvars import ContextVar
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.postgres.fields import ArrayField
from django.db import connection, models
from django.db.models import Count, ExpressionWrapper, F, Max, Min, Sum, Value
from django.db.models.expressions import RawSQL
from django.db.models.functions import TruncDay
from django.test.utils import CaptureQueriesContext
from django.utils import timezone, translation

from tests.testapp.models import Commas, Everything, Item, ItemProxy, Masked, Shelf

from .exact import exactly

pytestmark = pytest.mark.django_db

AT = dt.datetime(2024, 3, 9, 22, 30, tzinfo=dt.UTC)
tenant: ContextVar[str | None] = ContextVar("tenant", default=None)


def current_tenant() -> str | None:
    return tenant.get()


@pytest.fixture(autouse=True)
def rows() -> None:
    shelf = Shelf.objects.create(name="top")
    Item.objects.bulk_create(
        [Item(name=f"n{n}", slug=f"s{n}", shelf=shelf, place=n, stock=n) for n in range(3)]
    )
    Everything.objects.create(text="a,b", integer=6, at=AT, ints=[3, 4], char="7")


Pair = tuple[Callable[[Any], Any], Callable[[Any], Any]]

APART: dict[str, Pair] = {
    "lists and counts": (lambda q: list(q(Item.objects)), lambda q: q(Item.objects).count()),
    "counts and existence": (
        lambda q: q(Item.objects).count(),
        lambda q: q(Item.objects).exists(),
    ),
    "instances and dicts": (
        lambda q: list(q(Item.objects.order_by("pk"))),
        lambda q: list(q(Item.objects.order_by("pk").values())),
    ),
    "tuples, flat and named": (
        lambda q: list(q(Item.objects.order_by("pk").values_list("name"))),
        lambda q: list(q(Item.objects.order_by("pk").values_list("name", flat=True))),
    ),
    "a proxy": (
        lambda q: list(q(Item.objects.order_by("pk"))),
        lambda q: list(q(ItemProxy.objects.order_by("pk"))),
    ),
    "a deferred row": (
        lambda q: list(q(Item.objects.order_by("pk").only("pk", "name"))),
        lambda q: list(q(Item.objects.order_by("pk").values("pk", "name"))),
    ),
    "types of one annotation": (
        lambda q: list(q(Item.objects.annotate(x=ExpressionWrapper(F("stock"), _integer())))),
        lambda q: list(q(Item.objects.annotate(x=ExpressionWrapper(F("stock"), _duration())))),
    ),
    "types of one aggregate": (
        lambda q: q(Everything.objects).aggregate(x=Max("text")),
        lambda q: q(Everything.objects).aggregate(x=Max("text", output_field=Commas())),
    ),
    "a field that masks": (
        lambda q: q(Everything.objects).aggregate(x=Max("integer")),
        lambda q: q(Everything.objects).aggregate(x=Max("integer", output_field=Masked())),
    ),
    "arrays of types": (
        lambda q: q(Everything.objects).aggregate(x=Max("ints", output_field=_array(_integer()))),
        lambda q: q(Everything.objects).aggregate(x=Max("ints", output_field=_array(Masked()))),
    ),
    "an aggregate's name": (
        lambda q: q(Item.objects).aggregate(x=Sum("stock")),
        lambda q: q(Item.objects).aggregate(y=Sum("stock")),
    ),
    "aggregates": (
        lambda q: q(Item.objects).aggregate(x=Max("stock")),
        lambda q: q(Item.objects).aggregate(x=Min("stock")),
    ),
    "what an aggregate counts": (
        lambda q: q(Item.objects).aggregate(x=Count("pk")),
        lambda q: q(Item.objects).aggregate(x=Count("shelf", distinct=True)),
    ),
    "an integer and its text": (
        lambda q: list(q(Item.objects.values_list(Value(1)))),
        lambda q: list(q(Item.objects.values_list(Value("1")))),
    ),
    "decimals that are equal": (
        lambda q: list(q(Item.objects.values_list(_decimal("1.0")))),
        lambda q: list(q(Item.objects.values_list(_decimal("1.00")))),
    ),
    "zeros that are equal": (
        lambda q: list(q(Item.objects.values_list(Value(0.0)))),
        lambda q: list(q(Item.objects.values_list(Value(-0.0)))),
    ),
    "true and one": (
        lambda q: list(q(Item.objects.values_list(Value(True)))),
        lambda q: list(q(Item.objects.values_list(Value(1)))),
    ),
    "slices": (
        lambda q: list(q(Item.objects.order_by("pk"))[:2]),
        lambda q: list(q(Item.objects.order_by("pk"))[1:3]),
    ),
    "orders": (
        lambda q: list(q(Item.objects.order_by("pk"))),
        lambda q: list(q(Item.objects.order_by("-pk"))),
    ),
}


def _integer() -> Any:
    return models.BigIntegerField()


def _duration() -> Any:
    return models.FloatField()


def _array(base: Any) -> Any:
    return ArrayField(base)


def _decimal(text: str) -> Any:
    return RawSQL("%s::numeric", [Decimal(text)], output_field=models.DecimalField())


def cached(queryset: Any) -> Any:
    return queryset.cache()


def uncached(queryset: Any) -> Any:
    return queryset.nocache()


@pytest.mark.parametrize("name", APART)
def test_results_are_told_apart(name: str) -> None:
    one, other = APART[name]
    expected = exactly(one(uncached)), exactly(other(uncached))
    for _ in range(2):
        assert (exactly(one(cached)), exactly(other(cached))) == expected
        assert (exactly(other(cached)), exactly(one(cached))) == expected[::-1]


def test_a_related_manager_knows_its_object() -> None:
    shelf = Shelf.objects.get()
    for _ in range(2):
        found = list(shelf.items.order_by("pk").cache())
        assert all(item.shelf is shelf for item in found)
        plain = list(Item.objects.filter(shelf=shelf).order_by("pk").cache())
        assert not any("shelf" in item._state.fields_cache for item in plain)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/New_York"])
def test_time_zones(zone: str) -> None:
    days = Everything.objects.annotate(day=TruncDay("at"))
    queries: list[Callable[[Any], Any]] = [
        lambda q: list(q(days.values_list("day", "at"))),
        lambda q: list(q(Everything.objects.datetimes("at", "day"))),
        lambda q: q(Everything.objects).aggregate(x=Max(TruncDay("at"))),
        lambda q: q(Everything.objects.filter(at__date=dt.date(2024, 3, 10))).count(),
    ]
    for query in queries:
        query(cached)
        with timezone.override(zone):
            expected = exactly(query(uncached))
            assert exactly(query(cached)) == expected
            assert exactly(query(cached)) == expected
        assert exactly(query(cached)) == exactly(query(uncached))


def test_languages() -> None:
    def greeting() -> Any:
        text = {"en": "hello", "de": "hallo"}[translation.get_language()]
        return list(Item.objects.annotate(x=Value(text)).values_list("x", flat=True).cache())

    for language, text in [("en", "hello"), ("de", "hallo")] * 2:
        with translation.override(language):
            assert greeting() == [text] * 3


def test_tenants(settings: Any) -> None:
    settings.CACHEPATTERNS = {
        **settings.CACHEPATTERNS,
        "TENANT": "tests.integration.test_lists_apart.current_tenant",
    }
    page = Item.objects.filter(stock__gt=0).cache()
    seen = []
    for name in ("acme", "other", "acme", "other", None):
        token = tenant.set(name)
        with CaptureQueriesContext(connection) as context:
            assert page.all().count() == 2
        seen.append(bool(context.captured_queries))
        tenant.reset(token)
    assert seen == [True, True, False, False, True]


def test_who_wants_a_result_for_a_shorter_time_is_not_given_one_that_is_older() -> None:
    def loaded(**options: Any) -> bool:
        with CaptureQueriesContext(connection) as context:
            Item.objects.filter(stock__gt=0).cache(**options).count()
        return bool(context.captured_queries)

    assert loaded(ttl=3600, invalidation="ttl")
    assert loaded(ttl=10, invalidation="ttl")
    assert loaded(ttl=10)
    assert loaded(ttl=10, tags="a")
    assert loaded(ttl=10, tags=["a", "b"])
    assert loaded(ttl=10, tags=["a,b"])
    assert not loaded(ttl=dt.timedelta(hours=1), invalidation="ttl")
    assert not loaded(ttl=10)
    assert not loaded(ttl=10, tags=["a", "b"])
