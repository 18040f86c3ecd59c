"""Cached querysets: each gives what it gives without the cache, and follows every write."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.postgres.aggregates import ArrayAgg, JSONBAgg
from django.db import models
from django.db.models import (
    Avg,
    Case,
    Count,
    Exists,
    F,
    FilteredRelation,
    Max,
    Min,
    OuterRef,
    Prefetch,
    Q,
    Subquery,
    Sum,
    Value,
    When,
    Window,
)
from django.db.models.functions import (
    Cast,
    Coalesce,
    Concat,
    ExtractYear,
    Length,
    Rank,
    TruncDay,
    TruncMonth,
    Upper,
)
from psycopg.types.range import Int4Range, NumericRange

from tests.testapp.models import (
    Bar,
    Cafe,
    Category,
    Detail,
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
    Readable,
    Shelf,
    UuidRow,
    Versioned,
)

from .exact import exactly

pytestmark = pytest.mark.django_db

AT = dt.datetime(2024, 3, 9, 22, 30, tzinfo=dt.UTC)

Wrap = Callable[[Any], Any]
"""Makes a queryset a cached one, or one that the database answers."""


def cached(queryset: Any) -> Any:
    return queryset.cache()


def uncached(queryset: Any) -> Any:
    return queryset.nocache()


@pytest.fixture
def world() -> None:
    """A few rows of each model, related in several ways."""
    top, low = (Shelf.objects.create(name=name) for name in ("top", "low"))
    Shelf.objects.create(name="bare")
    items = Item.objects.bulk_create(
        [
            Item(name=f"n{n % 3}", slug=f"s{n}", shelf=(top, low, None)[n % 3], place=n, stock=n)
            for n in range(9)
        ]
    )
    Label.objects.bulk_create([Label(item=items[n % 4], text=f"t{n % 5}") for n in range(10)])
    for item in items[:3]:
        Detail.objects.create(item=item, weight=item.stock * 10)
    red, blue = (Category.objects.create(name=name) for name in ("red", "blue"))
    marks = [Mark.objects.create(name=f"m{n}") for n in range(3)]
    for n in range(6):
        piece = Piece.objects.create(category=(red, blue, None)[n % 3], slug=f"p{n}", rank=n % 4)
        piece.marks.set(marks[: n % 4])
    Place.objects.create(name="square")
    for n in range(3):
        Cafe.objects.create(name=f"cafe {n}", seats=n)
    Bar.objects.create(name="bar", beers=7)
    Filtered.objects.bulk_create([Filtered(n=n * 60, hidden=n == 2) for n in range(4)])
    UuidRow.objects.bulk_create([UuidRow(id=uuid.UUID(int=n), n=n) for n in range(3)])
    Versioned.objects.bulk_create([Versioned(n=n) for n in range(4)])
    OddTable.objects.create(n=1)
    OtherSchema.objects.create(n=1)
    Readable.objects.create(n=Decimal("1.50"), at=AT)
    _one_of_everything(1)
    _one_of_everything(2)
    Everything.objects.create()


def _one_of_everything(n: int) -> None:
    Everything.objects.create(
        integer=n,
        decimal=Decimal(f"{n}.5"),
        floating=n / 3,
        boolean=n == 1,
        char=f"c{n}",
        date=dt.date(2024, 1, n),
        time=dt.time(n, 2, 3),
        at=AT + dt.timedelta(days=n),
        duration=dt.timedelta(seconds=n),
        uuid=uuid.UUID(int=n),
        json={"a": [n, 1.5, None], "b": {"c": True}},
        binary=b"\0\xff",
        ip="10.0.0.1",
        file="a/b.txt",
        ints=[n, None],
        grid=[[Decimal("1.500")]],
        moments=[AT],
        int_range=Int4Range(n, n + 5),
        decimal_range=NumericRange(Decimal("1.5"), None),
        hstore={"a": "b", "c": None},
        commas=["x", "y"],
        point=(1.0, 2.0),
    )


QUERIES: dict[str, Callable[[Wrap], Any]] = {
    # Lists of rows
    "all": lambda q: list(q(Item.objects)),
    "filtered": lambda q: list(q(Item.objects.filter(stock__gt=3)).order_by("pk")),
    "cached early": lambda q: list(q(Item.objects).filter(stock__gt=3).order_by("-pk")),
    "sliced": lambda q: list(q(Item.objects.order_by("-stock"))[2:5]),
    "an item of it": lambda q: q(Item.objects.order_by("-stock"))[3],
    "ordered by a relation": lambda q: list(q(Item.objects.order_by("shelf__name", "-pk"))),
    "reversed": lambda q: list(q(Item.objects.order_by("name", "pk").reverse())),
    "excluded": lambda q: list(q(Item.objects.exclude(shelf__name="top").order_by("pk"))),
    "either": lambda q: list(q(Item.objects.filter(Q(stock=1) | Q(labels__text="t1"))).distinct()),
    "duplicates by a join": lambda q: list(
        q(Item.objects.filter(labels__text__startswith="t")).order_by("pk", "labels__pk")
    ),
    "distinct over a join": lambda q: list(
        q(Item.objects.filter(labels__text__gte="t1")).distinct().order_by("labels__text", "pk")
    ),
    "distinct on": lambda q: list(q(Item.objects.order_by("name", "-pk").distinct("name"))),
    "empty": lambda q: list(q(Item.objects.filter(name="nobody"))),
    "known to be empty": lambda q: list(q(Item.objects.filter(pk__in=[]))),
    "none()": lambda q: (list(q(Item.objects).none()), q(Item.objects.none()).count()),
    "a proxy's": lambda q: list(q(ItemProxy.objects.filter(stock__gt=4)).order_by("pk")),
    "a child's": lambda q: list(q(Cafe.objects.filter(name__gt="cafe 0")).order_by("seats")),
    "a parent's": lambda q: list(q(Place.objects.filter(cafe__seats__gt=0)).order_by("pk")),
    "by uuid": lambda q: list(q(UuidRow.objects.filter(n__lt=2)).order_by("pk")),
    "a filtering manager's": lambda q: list(q(Filtered.objects.expensive()).order_by("pk")),
    "versioned rows": lambda q: list(q(Versioned.objects.filter(n__gt=1)).order_by("pk")),
    "JSON as codec": lambda q: list(q(Readable.objects.filter(n__gt=1))),
    "an odd table": lambda q: list(q(OddTable.objects.filter(n=1))),
    "another schema": lambda q: list(q(OtherSchema.objects.filter(n=1))),
    "everything": lambda q: list(q(Everything.objects.filter(pk__gt=0)).order_by("pk")),
    # One row
    "first": lambda q: q(Item.objects.order_by("-stock")).first(),
    "last": lambda q: q(Item.objects.order_by("stock")).last(),
    "no first": lambda q: q(Item.objects.filter(name="nobody")).first(),
    "get": lambda q: q(Item.objects).get(name="n1", stock=4),
    "latest": lambda q: q(Item.objects).latest("stock"),
    "earliest": lambda q: q(Item.objects).earliest("stock"),
    "contains": lambda q: q(Item.objects.filter(stock__gt=3)).contains(Item.objects.get(slug="s5")),
    "in_bulk": lambda q: q(Item.objects).in_bulk(["s1", "s2"], field_name="slug"),
    # Relations
    "select_related": lambda q: list(q(Item.objects.select_related("shelf")).order_by("pk")),
    "nested select_related": lambda q: list(
        q(Label.objects.select_related("item__shelf", "item__detail")).order_by("pk")
    ),
    "reverse one-to-one": lambda q: list(q(Item.objects.select_related("detail")).order_by("pk")),
    "a child with its parent": lambda q: list(
        q(Place.objects.select_related("cafe", "bar")).order_by("pk")
    ),
    "a related manager": lambda q: list(
        q(q(Shelf.objects).get(name="top").items.all()).order_by("pk")
    ),
    "a related manager's count": lambda q: q(q(Shelf.objects).get(name="top").items.all()).count(),
    "many to many": lambda q: list(q(q(Piece.objects).get(slug="p3").marks.all()).order_by("pk")),
    "many to many, from the other end": lambda q: list(
        q(Piece.objects.filter(marks__name="m1")).order_by("pk")
    ),
    "prefetched": lambda q: list(q(Shelf.objects.prefetch_related("items__labels")).order_by("pk")),
    "prefetched from the cache": lambda q: list(
        Piece.objects.nocache()
        .order_by("pk")
        .prefetch_related(
            Prefetch("marks", queryset=q(Mark.objects.order_by("pk"))),
            Prefetch("category", queryset=q(Category.objects.all())),
        )
    ),
    "prefetched to an attribute": lambda q: [
        (shelf, shelf.some)
        for shelf in Shelf.objects.nocache()
        .order_by("pk")
        .prefetch_related(
            Prefetch("items", queryset=q(Item.objects.filter(stock__gt=2)), to_attr="some")
        )
    ],
    # Parts of rows
    "only": lambda q: list(q(Item.objects.only("name")).order_by("pk")),
    "defer": lambda q: list(q(Item.objects.defer("name")).order_by("pk")),
    "only over a relation": lambda q: list(
        q(Item.objects.select_related("shelf").only("name", "shelf__name")).order_by("pk")
    ),
    "values": lambda q: list(q(Item.objects.order_by("pk").values())),
    "values over a join": lambda q: list(q(Label.objects.values("text", "item__shelf__name"))),
    "values_list": lambda q: list(q(Item.objects.order_by("pk").values_list("pk", "name"))),
    "flat": lambda q: list(q(Item.objects.order_by("pk").values_list("name", flat=True))),
    "named": lambda q: list(q(Item.objects.order_by("pk").values_list("pk", "name", named=True))),
    "values, cached early": lambda q: list(q(Item.objects).order_by("pk").values("name", "shelf")),
    "values of everything": lambda q: list(q(Everything.objects.order_by("pk").values())),
    "flat arrays": lambda q: list(
        q(Everything.objects.order_by("pk").values_list("grid", flat=True))
    ),
    "JSON keys": lambda q: list(q(Everything.objects.values("json__a", "json__b__c"))),
    "dates": lambda q: list(q(Everything.objects.dates("date", "month"))),
    "datetimes": lambda q: list(q(Everything.objects.datetimes("at", "day"))),
    "distinct values": lambda q: sorted(q(Item.objects.values_list("name", flat=True).distinct())),
    # Annotations
    "annotated": lambda q: list(q(Item.objects.annotate(x=F("stock") * 2)).order_by("pk")),
    "alias": lambda q: list(q(Item.objects.alias(x=F("stock") * 2).filter(x__gt=6)).order_by("pk")),
    "grouped": lambda q: list(
        q(Item.objects.values("name").annotate(n=Count("pk"))).order_by("name")
    ),
    "counted by a join": lambda q: list(
        q(Shelf.objects.annotate(n=Count("items"), s=Sum("items__stock"))).order_by("pk")
    ),
    "having": lambda q: list(
        q(Shelf.objects.annotate(n=Count("items")).filter(n__gt=0)).order_by("pk")
    ),
    "a filtered relation": lambda q: list(
        q(
            Shelf.objects.annotate(
                chosen=FilteredRelation("items", condition=Q(items__stock__gt=3))
            ).filter(chosen__name="n0")
        ).order_by("pk")
    ),
    "window": lambda q: list(
        q(
            Item.objects.annotate(
                r=Window(Rank(), partition_by="shelf", order_by=F("stock").desc())
            ).filter(r=1)
        ).order_by("pk")
    ),
    "case": lambda q: list(
        q(Item.objects.annotate(x=Case(When(stock__gt=3, then=Value("a")), default=Value("b"))))
    ),
    "arrays made by the database": lambda q: list(
        q(Shelf.objects.annotate(x=ArrayAgg("items__name", order_by="items__pk"))).order_by("pk")
    ),
    "JSON made by the database": lambda q: list(
        q(Shelf.objects.annotate(x=JSONBAgg("items__stock", order_by="items__pk"))).order_by("pk")
    ),
    "days": lambda q: list(q(Everything.objects.annotate(x=TruncDay("at"))).order_by("pk")),
    "a decimal": lambda q: list(
        q(
            Item.objects.annotate(
                x=Cast("stock", models.DecimalField(max_digits=5, decimal_places=2))
            )
        )
    ),
    "extra": lambda q: list(q(Item.objects.extra(select={"x": "stock + 1"}).order_by("pk"))),
    # Subqueries
    "in a queryset": lambda q: list(
        q(Item.objects.filter(shelf__in=Shelf.objects.filter(name="top"))).order_by("pk")
    ),
    "Exists": lambda q: list(
        q(Item.objects.filter(Exists(Label.objects.filter(item=OuterRef("pk"))))).order_by("pk")
    ),
    "Subquery": lambda q: list(
        q(
            Shelf.objects.annotate(
                best=Subquery(
                    Item.objects.filter(shelf=OuterRef("pk")).order_by("-stock").values("name")[:1]
                )
            )
        ).order_by("pk")
    ),
    "in a cached queryset": lambda q: q(
        Item.objects.filter(shelf__in=q(Shelf.objects.filter(name="top")))
    ).count(),
    "union": lambda q: list(
        q(Item.objects.filter(stock=1).union(Item.objects.filter(stock=2))).order_by("slug")
    ),
    "union of models": lambda q: sorted(
        q(Item.objects.values_list("name").union(Shelf.objects.values_list("name"), all=True))
    ),
    "difference": lambda q: q(Item.objects.difference(Item.objects.filter(stock__gt=1))).count(),
    "or": lambda q: list(
        (q(Item.objects.filter(stock=1)) | Item.objects.filter(stock=2)).order_by("pk")
    ),
    # Numbers
    "count": lambda q: q(Item.objects.filter(stock__gt=2)).count(),
    "count of a slice": lambda q: q(Item.objects.order_by("pk")[2:4]).count(),
    "count of values": lambda q: q(Item.objects.values("name").distinct()).count(),
    "count of none": lambda q: q(Item.objects.filter(pk__in=[])).count(),
    "exists": lambda q: q(Item.objects.filter(labels__text="t3")).exists(),
    "not exists": lambda q: q(Item.objects.filter(name="nobody")).exists(),
    "bool": lambda q: bool(q(Item.objects.filter(name="n1"))),
    "len": lambda q: len(q(Item.objects.filter(name="n1"))),
    "aggregate": lambda q: q(Item.objects).aggregate(Sum("stock"), n=Count("pk"), m=Max("name")),
    "aggregate of none": lambda q: q(Item.objects.none()).aggregate(Sum("stock"), n=Count("pk")),
    "aggregate over a join": lambda q: q(Shelf.objects).aggregate(Avg("items__stock")),
    "aggregate of an annotation": lambda q: q(
        Shelf.objects.annotate(n=Count("items")).filter(n__gt=0)
    ).aggregate(Avg("n"), Max("n")),
    "aggregate of an aggregate": lambda q: q(Item.objects).aggregate(
        a=Sum("stock"), b=F("a") * 2, c=Max("pk") - Min("pk")
    ),
    "aggregate with a subquery": lambda q: q(Shelf.objects).aggregate(
        s=Sum(Item.objects.filter(shelf=OuterRef("pk")).order_by("-stock").values("stock")[:1])
    ),
    "aggregate with a filter": lambda q: q(Item.objects).aggregate(
        n=Count("pk", filter=Q(labels__text="t1"))
    ),
    "aggregate of a slice": lambda q: q(Item.objects.order_by("-stock")[:2]).aggregate(
        Sum("stock")
    ),
    "aggregates of everything": lambda q: q(Everything.objects).aggregate(
        Max("decimal"),
        Max("at"),
        Max("date"),
        Max("duration"),
        Max("time"),
        Max("char"),
        Max("commas"),
        Avg("floating"),
        t=Max(TruncMonth("at")),
        j=JSONBAgg("json", order_by="pk"),
        a=ArrayAgg("ints", filter=Q(integer=1)),
        y=Max(ExtractYear("at")),
        d=Coalesce(Sum("decimal"), Value(Decimal("0.00"))),
    ),
    "functions": lambda q: list(
        q(Item.objects.annotate(x=Upper(Concat("name", Value("é"))), y=Length("slug"))).order_by(
            "pk"
        )
    ),
}


COSTS = {
    "prefetched": 2,  # What is prefetched, by related managers that nobody has told to cache.
    "prefetched from the cache": 1,  # The rows that it is prefetched for.
    "prefetched to an attribute": 1,
}
"""Statements that a query costs though it is cached."""


@pytest.mark.parametrize("name", QUERIES)
def test_the_result_is_what_the_database_gives(
    world: None, name: str, django_assert_num_queries: Any
) -> None:
    query = QUERIES[name]
    expected = exactly(query(uncached))
    assert exactly(query(cached)) == expected, "when it is loaded"
    with django_assert_num_queries(COSTS.get(name, 0)):
        found = query(cached)
    assert exactly(found) == expected, "from the cache"
