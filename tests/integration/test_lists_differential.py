"""Random querysets, cached and not, amid random writes: both must always give the same.

By default for some seconds; `LISTS_EXAMPLES=2000` makes it run for longer.
"""

from __future__ import annotations

import datetime as dt
import itertools
import os
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from django.db import connection, models, transaction
from django.db.models import (
    Avg,
    Case,
    Count,
    Exists,
    F,
    Max,
    OuterRef,
    Q,
    Subquery,
    Sum,
    Value,
    When,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.testapp.models import (
    Cafe,
    Category,
    Item,
    ItemProxy,
    Label,
    Mark,
    Piece,
    Place,
    Shelf,
    Ticket,
    Versioned,
)

from .exact import exactly

EXAMPLES = int(os.environ.get("LISTS_EXAMPLES", "30"))
DAY = dt.date(2024, 1, 1)
Links: Any = Piece.marks.through
numbers = itertools.count()
"""For what must be unique."""


# Querysets


def nth(model: Any, n: int) -> Any:
    """A row, or `None` where there is none; never from the cache."""
    rows: Any = models.QuerySet(model).order_by("pk")
    found = list(rows)
    return found[n % len(found)] if found else None


def key(model: Any, n: int) -> int:
    row = nth(model, n)
    return 0 if row is None else row.pk


class Pool(NamedTuple):
    """What querysets of a model are made of; each filter is given a small number."""

    manager: Any
    filters: list[Callable[[Any, int], Any]]
    annotations: list[Callable[[Any], Any]]
    columns: list[str]
    related: list[str] = []


POOLS: dict[str, Pool] = {
    "item": Pool(
        Item.objects,
        [
            lambda q, n: q.filter(stock__gt=n),
            lambda q, n: q.filter(name=f"n{n % 3}"),
            lambda q, n: q.filter(name__in=[f"n{n % 3}", "n1"]),
            lambda q, n: q.filter(shelf=key(Shelf, n)),
            lambda q, n: q.filter(shelf__name=f"a{n % 3}"),
            lambda q, n: q.filter(shelf=None),
            lambda q, n: q.filter(labels__text=f"t{n % 3}"),
            lambda q, n: q.filter(labels__text__gte=f"t{n % 3}").distinct(),
            lambda q, n: q.exclude(labels__text=f"t{n % 3}"),
            lambda q, n: q.filter(Q(stock=n) | Q(shelf__name="a1")),
            lambda q, n: q.filter(Exists(Label.objects.filter(item=OuterRef("pk"), text="t1"))),
            lambda q, n: q.filter(shelf__in=Shelf.objects.filter(name__gt=f"a{n % 3}")),
            lambda q, n: q.filter(pk__in=[key(Item, n), key(Item, n + 1)]),
        ],
        [
            lambda q: q.annotate(x=Count("labels")),
            lambda q: q.annotate(x=F("stock") * 2),
            lambda q: q.annotate(
                x=Subquery(
                    Label.objects.filter(item=OuterRef("pk"))
                    .values("item")
                    .annotate(n=Max("text"))
                    .values("n")
                )
            ),
        ],
        ["name", "stock", "shelf__name"],
        ["shelf"],
    ),
    "proxy": Pool(ItemProxy.objects, [lambda q, n: q.filter(stock__gt=n)], [], ["name"]),
    "shelf": Pool(
        Shelf.objects,
        [
            lambda q, n: q.filter(items__stock__gt=n),
            lambda q, n: q.filter(items__labels__text=f"t{n % 3}"),
            lambda q, n: q.filter(name=f"a{n % 3}"),
        ],
        [
            lambda q: q.annotate(x=Count("items")),
            lambda q: q.annotate(x=Sum("items__stock")),
            lambda q: q.annotate(x=Count("items")).filter(x__gt=1),
        ],
        ["name", "items__name"],
    ),
    "label": Pool(
        Label.objects,
        [
            lambda q, n: q.filter(item__shelf__name=f"a{n % 3}"),
            lambda q, n: q.filter(text__gte=f"t{n % 3}"),
            lambda q, n: q.filter(item=key(Item, n)),
        ],
        [lambda q: q.annotate(x=F("item__stock"))],
        ["text", "item__name"],
        ["item", "item__shelf"],
    ),
    "piece": Pool(
        Piece.objects,
        [
            lambda q, n: q.filter(category=key(Category, n)),
            lambda q, n: q.filter(category=key(Category, n), rank__gt=n),
            lambda q, n: q.filter(category__in=[key(Category, n), key(Category, n + 1)]),
            lambda q, n: q.filter(Q(category=key(Category, n)) | Q(rank=n)),
            lambda q, n: q.exclude(category=key(Category, n)),
            lambda q, n: q.filter(category=None),
            lambda q, n: q.filter(category__name=f"c{n % 3}"),
            lambda q, n: q.filter(category=key(Category, n), category__name="c1"),
            lambda q, n: q.filter(marks=key(Mark, n)),
            lambda q, n: q.filter(marks__name=f"m{n % 3}", category=key(Category, n)),
            lambda q, n: q.filter(
                Exists(Piece.objects.filter(rank=OuterRef("rank"), category=key(Category, n + 1))),
                category=key(Category, n),
            ),
        ],
        [
            lambda q: q.annotate(x=Count("marks")),
            lambda q: q.annotate(x=Case(When(rank__gt=2, then=Value("a")), default=Value("b"))),
        ],
        ["slug", "rank", "category__name"],
        ["category"],
    ),
    "category": Pool(
        Category.objects,
        [
            lambda q, n: q.filter(piece__rank__gt=n),
            lambda q, n: q.filter(piece__marks__name=f"m{n % 3}"),
        ],
        [lambda q: q.annotate(x=Count("piece")), lambda q: q.annotate(x=Avg("piece__rank"))],
        ["name"],
    ),
    "mark": Pool(
        Mark.objects,
        [
            lambda q, n: q.filter(pieces__category=key(Category, n)),
            lambda q, n: q.filter(pieces__rank=n),
        ],
        [lambda q: q.annotate(x=Count("pieces"))],
        ["name"],
    ),
    "ticket": Pool(
        Ticket.objects,
        [
            lambda q, n: q.filter(state=f"s{n % 3}"),
            lambda q, n: q.filter(state__in=[f"s{n % 3}", "s1"]),
            lambda q, n: q.filter(state=None),
            lambda q, n: q.filter(day=DAY + dt.timedelta(days=n % 3)),
            lambda q, n: q.filter(tens=n % 3),
            lambda q, n: q.filter(state=f"s{n % 3}", day=DAY),
        ],
        [],
        ["state", "day", "tens"],
    ),
    "cafe": Pool(
        Cafe.objects,
        [lambda q, n: q.filter(name__gt=f"p{n}"), lambda q, n: q.filter(seats__gt=n)],
        [],
        ["name", "seats"],
    ),
    "place": Pool(
        Place.objects,
        [lambda q, n: q.filter(cafe__seats__gt=n), lambda q, n: q.filter(cafe=None)],
        [],
        ["name"],
        ["cafe"],
    ),
    "versioned": Pool(Versioned.objects, [lambda q, n: q.filter(n__gt=n)], [], ["n"]),
}

SHAPES = ["rows", "values", "tuples", "flat", "related", "only", "grouped"]
ENDS = ["list", "count", "exists", "aggregate", "first", "last"]


class Query(NamedTuple):
    """A queryset as plain values, so that a failing example can be read."""

    pool: str
    filters: tuple[tuple[int, int], ...]
    annotation: int | None
    shape: str
    backwards: bool
    slice: tuple[int, int] | None
    end: str

    def ask(self, q: Callable[[Any], Any]) -> Any:
        """What it gives; `q` says whether it is cached."""
        pool = POOLS[self.pool]
        queryset = pool.manager.all()
        for which, n in self.filters:
            queryset = pool.filters[which % len(pool.filters)](queryset, n)
        if self.annotation is not None and pool.annotations and self.shape != "grouped":
            queryset = pool.annotations[self.annotation % len(pool.annotations)](queryset)
        queryset = self._shaped(pool, queryset)
        order = ["pk"] if self.shape != "grouped" else [pool.columns[0]]
        columns = [name for name in pool.columns if "__" in name]
        queryset = queryset.order_by(*(f"-{name}" if self.backwards else name for name in order))
        if self.shape in ("values", "tuples", "flat"):
            queryset = queryset.order_by(*queryset.query.order_by, *columns)
        if self.slice is not None and self.end in ("list", "count", "exists", "aggregate"):
            queryset = queryset[self.slice[0] : self.slice[0] + self.slice[1]]
        return exactly(self._asked(q(queryset)))

    def _shaped(self, pool: Pool, queryset: Any) -> Any:
        if self.shape == "values":
            return queryset.values(*pool.columns)
        if self.shape == "tuples":
            return queryset.values_list("pk", *pool.columns)
        if self.shape == "flat":
            return queryset.values_list(pool.columns[-1], flat=True)
        if self.shape == "related":
            return queryset.select_related(*pool.related) if pool.related else queryset
        if self.shape == "only":
            return queryset.only(pool.columns[0])
        if self.shape == "grouped":
            return queryset.values(pool.columns[0]).annotate(number=Count("pk", distinct=True))
        return queryset

    def _asked(self, queryset: Any) -> Any:
        if self.end == "list":
            return list(queryset)
        if self.end == "aggregate":
            return queryset.aggregate(Count("pk"), m=Max("pk"), d=Count("pk", distinct=True))
        return getattr(queryset, self.end)()


def queries() -> Any:
    number = st.integers(0, 4)
    return st.builds(
        Query,
        st.sampled_from(sorted(POOLS)),
        st.lists(st.tuples(st.integers(0, 12), number), max_size=2).map(tuple),
        st.none() | st.integers(0, 2),
        st.sampled_from(SHAPES),
        st.booleans(),
        st.none() | st.tuples(st.integers(0, 2), st.integers(1, 3)),
        st.sampled_from(["list", *ENDS]),
    )


# Writes


def on(model: Any, n: int, do: Callable[[Any], Any]) -> None:
    row = nth(model, n)
    if row is not None:
        do(row)


def changed(row: Any, update_fields: Any = None, **values: Any) -> None:
    for name, value in values.items():
        setattr(row, name, value)
    row.save(update_fields=update_fields)


def new_item(n: int, m: int) -> Item:
    number = next(numbers)
    return Item(name=f"n{n % 3}", slug=f"i{number}", shelf=nth(Shelf, m), place=number, stock=n)


def new_piece(n: int, m: int) -> Piece:
    return Piece(category=nth(Category, m), slug=f"p{next(numbers)}", rank=n)


def state(n: int) -> str | None:
    return None if n == 3 else f"s{n % 3}"


def day(n: int) -> dt.date | None:
    return None if n == 4 else DAY + dt.timedelta(days=n % 3)


def stale_save(n: int, m: int) -> None:
    """An instance that was read before somebody else has moved the row."""
    row = nth(Piece, n)
    if row is not None:
        Piece.objects.filter(pk=row.pk).update(category=nth(Category, m))
        row.save()


def marks_of(n: int, do: Callable[[Any], Any]) -> None:
    on(Piece, n, lambda piece: do(piece.marks))


def pieces_of(n: int, do: Callable[[Any], Any]) -> None:
    on(Mark, n, lambda mark: do(mark.pieces))


def conflict(n: int, m: int) -> None:
    row = nth(Piece, n)
    if row is not None:
        Piece.objects.bulk_create(
            [Piece(category=nth(Category, m), slug=row.slug, rank=n), new_piece(n, m)],
            update_conflicts=True,
            update_fields=["category", "rank"],
            unique_fields=["slug"],
        )


def moved_in_bulk(n: int, m: int) -> None:
    rows = list(Piece.objects.nocache().order_by("pk")[:3])
    for row in rows:
        row.category, row.rank = nth(Category, m), n
    Piece.objects.bulk_update(rows, ["category", "rank"])


WRITES: dict[str, Callable[[int, int], Any]] = {
    "item": lambda n, m: new_item(n, m).save(),
    "items": lambda n, m: Item.objects.bulk_create([new_item(n, m), new_item(m, n)]),
    "item moved": lambda n, m: on(Item, n, lambda row: changed(row, shelf=nth(Shelf, m))),
    "item renamed": lambda n, m: on(Item, n, lambda row: changed(row, ["name"], name=f"n{m % 3}")),
    "items updated": lambda n, m: Item.objects.filter(stock__gte=n).update(stock=F("stock") + m),
    "items of a shelf": lambda n, m: Item.objects.filter(shelf__name=f"a{n % 3}").update(stock=m),
    "proxy updated": lambda n, m: ItemProxy.objects.filter(stock=n).update(name=f"n{m % 3}"),
    "item deleted": lambda n, m: on(Item, n, lambda row: row.delete()),
    "items deleted": lambda n, m: Item.objects.filter(stock=n, name=f"n{m % 3}").delete(),
    "shelf": lambda n, m: Shelf.objects.create(name=f"a{n % 3}"),
    "shelf renamed": lambda n, m: on(Shelf, n, lambda row: changed(row, name=f"a{m % 3}")),
    "shelf deleted": lambda n, m: on(Shelf, n, lambda row: row.delete()),
    "added to a shelf": lambda n, m: on(
        Shelf, n, lambda row: [row.items.add(item) for item in [nth(Item, m)] if item]
    ),
    "shelf cleared": lambda n, m: on(Shelf, n, lambda row: row.items.clear()),
    "label": lambda n, m: on(
        Item, n, lambda item: Label.objects.create(item=item, text=f"t{m % 3}")
    ),
    "label moved": lambda n, m: on(
        Label, n, lambda row: changed(row, item=nth(Item, m) or row.item)
    ),
    "labels deleted": lambda n, m: Label.objects.filter(text=f"t{n % 3}").delete(),
    "piece": lambda n, m: new_piece(n, m).save(),
    "pieces": lambda n, m: Piece.objects.bulk_create([new_piece(n, m), new_piece(m, n)]),
    "piece with a key": lambda n, m: changed(new_piece(n, m), pk=10**6 + next(numbers)),
    "piece moved": lambda n, m: on(Piece, n, lambda row: changed(row, category=nth(Category, m))),
    "piece moved, named": lambda n, m: on(
        Piece, n, lambda row: changed(row, ["category"], category=nth(Category, m))
    ),
    "piece ranked": lambda n, m: on(Piece, n, lambda row: changed(row, ["rank"], rank=m)),
    "piece by an expression": lambda n, m: on(
        Piece, n, lambda row: changed(row, rank=F("rank") + m)
    ),
    "stale save": stale_save,
    "pieces ranked": lambda n, m: Piece.objects.filter(category=nth(Category, n)).update(rank=m),
    "pieces moved": lambda n, m: Piece.objects.filter(rank__gt=n).update(category=nth(Category, m)),
    "pieces by a case": lambda n, m: Piece.objects.update(
        category=Case(
            When(rank=n, then=Value(key(Category, m) or None)),
            default=F("category"),
            output_field=models.BigIntegerField(),
        )
    ),
    "pieces moved in bulk": moved_in_bulk,
    "conflict": conflict,
    "piece deleted": lambda n, m: on(Piece, n, lambda row: row.delete()),
    "pieces deleted": lambda n, m: Piece.objects.filter(rank=n).delete(),
    "pieces deleted, raw": lambda n, m: (
        Links.objects.filter(piece__rank=n).delete(),
        Piece.objects.filter(rank=n)._raw_delete("default"),
    ),
    "update_or_create": lambda n, m: on(
        Piece,
        n,
        lambda row: Piece.objects.update_or_create(
            slug=row.slug, defaults={"category": nth(Category, m)}
        ),
    ),
    "category renamed": lambda n, m: on(Category, n, lambda row: changed(row, name=f"c{m % 3}")),
    "category deleted": lambda n, m: on(Category, n, lambda row: row.delete()),
    "category": lambda n, m: Category.objects.create(name=f"c{n % 3}"),
    "mark added": lambda n, m: marks_of(n, lambda marks: marks.add(nth(Mark, m))),
    "mark removed": lambda n, m: marks_of(n, lambda marks: marks.remove(nth(Mark, m))),
    "marks set": lambda n, m: marks_of(n, lambda marks: marks.set([nth(Mark, m)])),
    "marks cleared": lambda n, m: marks_of(n, lambda marks: marks.clear()),
    "pieces of a mark": lambda n, m: pieces_of(
        n, lambda pieces: pieces.set(list(Piece.objects.nocache().filter(rank__gte=m)))
    ),
    "mark cleared": lambda n, m: pieces_of(n, lambda pieces: pieces.clear()),
    "mark made and added": lambda n, m: marks_of(n, lambda marks: marks.create(name=f"m{m % 3}")),
    "link deleted": lambda n, m: on(Links, n, lambda row: row.delete()),
    "mark renamed": lambda n, m: on(Mark, n, lambda row: changed(row, name=f"m{m % 3}")),
    "ticket": lambda n, m: Ticket.objects.create(state=state(n), day=day(m), rank=n * 5),
    "tickets": lambda n, m: Ticket.objects.bulk_create([Ticket(state=state(n), day=day(m))]),
    "ticket changed": lambda n, m: on(
        Ticket, n, lambda row: changed(row, state=state(m), day=day(n), rank=m * 5)
    ),
    "ticket's day": lambda n, m: on(Ticket, n, lambda row: changed(row, ["day"], day=day(m))),
    "tickets updated": lambda n, m: Ticket.objects.filter(state=state(n)).update(state=state(m)),
    "tickets' rank": lambda n, m: Ticket.objects.filter(day=day(n)).update(rank=m * 5),
    "ticket deleted": lambda n, m: on(Ticket, n, lambda row: row.delete()),
    "cafe": lambda n, m: Cafe.objects.create(name=f"p{next(numbers)}", seats=next(numbers)),
    "cafe changed": lambda n, m: on(Cafe, n, lambda row: changed(row, seats=next(numbers))),
    "cafes": lambda n, m: Cafe.objects.update(seats=F("seats") + 10**4),
    "place renamed": lambda n, m: on(Place, n, lambda row: changed(row, name=f"p{next(numbers)}")),
    "place deleted": lambda n, m: on(Place, n, lambda row: row.delete()),
    "versioned": lambda n, m: Versioned.objects.create(n=n),
    "versioned updated": lambda n, m: Versioned.objects.filter(n=n).update(n=m),
}
WITHIN = ["alone", "atomic", "rolled back", "savepoint rolled back", "savepoint"]


class Write(NamedTuple):
    """A write as plain values."""

    name: str
    n: int
    m: int
    within: str


def writes() -> Any:
    number = st.integers(0, 4)
    return st.builds(
        Write, st.sampled_from(sorted(WRITES)), number, number, st.sampled_from(["alone", *WITHIN])
    )


# The comparison


class Tally:
    """How often what was asked came from the cache."""

    asked = hits = 0


class Statements:
    """Counts them; what Django logs of them is limited."""

    number = 0

    def __call__(self, execute: Any, *args: Any) -> Any:
        self.number += 1
        return execute(*args)


def agree(query: Query, tally: type[Tally] | None = None) -> None:
    plain, used = Statements(), Statements()
    with connection.execute_wrapper(plain):
        expected = query.ask(lambda queryset: queryset.nocache())
    with connection.execute_wrapper(used):
        found = query.ask(lambda queryset: queryset.cache())
    assert found == expected, query
    if tally is not None:
        tally.asked += 1
        # Some ask the database for the keys that they filter by.
        tally.hits += used.number < plain.number


def do(write: Write, asked: list[Query]) -> None:
    """Run a write, and ask within its transaction, too."""

    def run() -> None:
        WRITES[write.name](write.n, write.m)

    class Undo(Exception):
        pass

    if write.within == "alone":
        run()
        return
    outer = write.within == "rolled back"
    try:
        with transaction.atomic():
            if write.within.startswith("savepoint"):
                try:
                    with transaction.atomic():
                        run()
                        for query in asked:
                            agree(query)
                        if write.within == "savepoint rolled back":
                            raise Undo
                except Undo:
                    pass
            else:
                run()
            for query in asked:
                agree(query)
            if outer:
                raise Undo
    except Undo:
        pass


def fresh_world() -> None:
    for model in (Links, Label, Item, Shelf, Piece, Category, Mark, Ticket, Place, Versioned):
        model.objects.all().delete()
    for n in range(3):
        Shelf.objects.create(name=f"a{n}")
        Category.objects.create(name=f"c{n}")
        Cafe.objects.create(name=f"p{next(numbers)}", seats=next(numbers))
    marks = Mark.objects.bulk_create([Mark(name=f"m{n}") for n in range(3)])
    items = Item.objects.bulk_create([new_item(n, n) for n in range(5)])
    Label.objects.bulk_create([Label(item=items[n % 3], text=f"t{n % 3}") for n in range(5)])
    pieces = Piece.objects.bulk_create([new_piece(n, n) for n in range(5)])
    for n, piece in enumerate(pieces):
        piece.marks.set(marks[: n % 4])
    Ticket.objects.bulk_create([Ticket(state=state(n), day=day(n), rank=n * 5) for n in range(5)])
    Versioned.objects.bulk_create([Versioned(n=n) for n in range(5)])


def compare(asked: list[Query], written: list[Write], tally: type[Tally]) -> None:
    fresh_world()
    for query in asked:
        agree(query)
    for write in written:
        do(write, asked)
        for query in asked:
            agree(query, tally)


EXAMPLE = given(
    st.lists(queries(), min_size=2, max_size=5, unique=True),
    st.lists(writes(), min_size=1, max_size=5),
)
LENIENT = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]


@pytest.mark.django_db
def test_the_cache_never_disagrees_with_the_database() -> None:
    """In a `TestCase`, where each example takes some milliseconds."""

    class Counted(Tally):
        pass

    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=LENIENT)
    @EXAMPLE
    def run(asked: list[Query], written: list[Write]) -> None:
        compare(asked, written, Counted)

    run()
    assert Counted.hits > Counted.asked * 0.4, (Counted.hits, Counted.asked)


@pytest.mark.django_db(transaction=True)
def test_it_does_not_where_transactions_are_real() -> None:
    """Where a commit is one."""

    class Counted(Tally):
        pass

    @settings(max_examples=EXAMPLES // 3, deadline=None, suppress_health_check=LENIENT)
    @EXAMPLE
    def run(asked: list[Query], written: list[Write]) -> None:
        compare(asked, written, Counted)

    run()
    assert Counted.hits > Counted.asked * 0.4, (Counted.hits, Counted.asked)
