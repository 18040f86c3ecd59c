"""The questions about pieces that the library answers from the cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from django.db.models import Max, Sum

from tests.testapp.models import Piece, WrittenPiece

from ..areas import COUNTS, LISTS, LOOKUPS, WRITE_THROUGH
from ..ask import Ask, each_alone, row_by_row
from . import answers as right
from .answers import listed, made_of, shown
from .ground import CATEGORIES, MARKS, PIECES, SLUGS

TTL = 300
PAGE = 4
PAIRS = ((1, 2), (2, 3))
NAME_ENDS = tuple(f"of {pk}" for pk in CATEGORIES)
SEVERAL = ((1, 2, 3), (3, 7, 8), (9, 10), PIECES)


def read_through() -> Iterator[Ask]:
    """Questions about `Piece`."""
    yield from _lists(Piece, "piece", LISTS)
    yield from _joined(Piece, "piece", LISTS)
    yield from _counts(Piece, "piece", COUNTS)
    yield from _single(Piece, "piece", LOOKUPS)


def write_through() -> Iterator[Ask]:
    """Questions about `WrittenPiece`."""
    yield from _single(WrittenPiece, "writtenpiece", WRITE_THROUGH)
    yield from _lists(WrittenPiece, "writtenpiece", WRITE_THROUGH)
    yield from _counts(WrittenPiece, "writtenpiece", WRITE_THROUGH)


def _lists(model: Any, scope: str, area: str) -> Iterator[Ask]:
    def page(category: int) -> Any:
        return model.objects.filter(category=category).order_by("rank", "pk")[:PAGE]

    def named(name: str, read: Callable[..., Any], arguments: Any, answer: Any) -> Ask:
        return Ask(f"{scope} {name}", area, scope, arguments, read, answer, row_by_row)

    in_category = listed(right.in_category, PAGE)
    yield named("page", lambda c: _shown(page(c).cache(ttl=TTL)), CATEGORIES, in_category)
    yield named(
        "whole category",
        lambda c: _shown(model.objects.filter(category=c).order_by("rank", "pk").cache(ttl=TTL)),
        CATEGORIES,
        listed(right.in_category),
    )
    yield named(
        "two categories",
        lambda cs: _shown(
            model.objects.filter(category__in=cs).order_by("rank", "pk").cache(ttl=TTL)
        ),
        PAIRS,
        listed(right.in_categories),
    )
    yield named(
        "richest",
        lambda n: _shown(model.objects.order_by("-stock", "pk")[:n].cache(ttl=TTL)),
        (PAGE,),
        right.richest(PAGE),
    )
    yield Ask(
        f"{scope} values",
        area,
        scope,
        CATEGORIES,
        lambda c: list(page(c).values("pk", "rank", "stock").cache(ttl=TTL)),
        made_of(
            right.in_category,
            lambda rows: [{"pk": row.pk, "rank": row.rank, "stock": row.stock} for row in rows],
            PAGE,
        ),
    )
    yield Ask(
        f"{scope} values_list",
        area,
        scope,
        CATEGORIES,
        lambda c: list(page(c).cache(ttl=TTL).values_list("pk", flat=True)),
        made_of(right.in_category, lambda rows: [row.pk for row in rows], PAGE),
    )


def _joined(model: Any, scope: str, area: str) -> Iterator[Ask]:
    pieces = model.objects.order_by("rank", "pk")
    yield Ask(
        f"{scope} list by a join",
        area,
        scope,
        NAME_ENDS,
        lambda end: _shown(pieces.filter(category__name__endswith=end).cache(ttl=TTL)),
        listed(right.in_named),
        row_by_row,
    )
    yield Ask(
        f"{scope} list by many-to-many",
        area,
        scope,
        MARKS,
        lambda mark: _shown(pieces.filter(marks=mark).cache(ttl=TTL)),
        listed(right.marked),
        row_by_row,
    )
    yield Ask(
        f"{scope} list with select_related",
        area,
        scope,
        CATEGORIES,
        lambda c: [
            (piece.pk, piece.category.name)
            for piece in pieces.filter(category=c).select_related("category").cache(ttl=TTL)
        ],
        listed(right.in_category),
        right.with_names,
    )
    yield Ask(
        f"{scope} values by a join",
        area,
        scope,
        CATEGORIES,
        lambda c: list(
            pieces.filter(category=c).values_list("pk", "category__name").cache(ttl=TTL)
        ),
        made_of(right.in_category, lambda rows: [(row.pk, row.name) for row in rows]),
    )


def _counts(model: Any, scope: str, area: str) -> Iterator[Ask]:
    def of(category: int) -> Any:
        return model.objects.filter(category=category).cache(ttl=TTL)

    def totals(category: int) -> tuple[Any, Any]:
        found = of(category).aggregate(stock=Sum("stock"), rank=Max("rank"))
        return found["stock"], found["rank"]

    counted = made_of(right.in_category, len)
    yield Ask(f"{scope} count", area, scope, CATEGORIES, lambda c: of(c).count(), counted)
    yield Ask(
        f"{scope} exists",
        area,
        scope,
        CATEGORIES,
        lambda c: of(c).exists(),
        made_of(right.in_category, bool),
    )
    yield Ask(
        f"{scope} aggregate",
        area,
        scope,
        CATEGORIES,
        totals,
        made_of(right.in_category, right.totals),
    )
    yield Ask(
        f"{scope} count of all",
        area,
        scope,
        (2, 20),
        lambda least: model.objects.filter(stock__gte=least).cache(ttl=TTL).count(),
        made_of(right.in_stock, len),
    )
    yield Ask(
        f"{scope} aggregate of all",
        area,
        scope,
        (None,),
        lambda _: model.objects.cache(ttl=TTL).aggregate(stock=Sum("stock"))["stock"],
        made_of(right.any_piece, lambda rows: right.totals(rows)[0]),
    )


def _single(model: Any, scope: str, area: str) -> Iterator[Ask]:
    def by(**which: Any) -> list[tuple[Any, ...]]:
        try:
            return [shown(model.objects.get(**which))]
        except model.DoesNotExist:
            return []

    def named(name: str, read: Callable[..., Any], arguments: Any, wanted: Any) -> Ask:
        answer = made_of(wanted, lambda rows: [row[:5] for row in rows])
        return Ask(f"{scope} {name}", area, scope, arguments, read, answer)

    yield named("get(pk=)", lambda pk: by(pk=pk), PIECES, lambda row, pk: row.pk == pk)
    yield named("get(slug=)", lambda slug: by(slug=slug), SLUGS, right.with_slug)
    yield Ask(
        f"{scope} in_bulk()",
        area,
        scope,
        SEVERAL,
        lambda pks: {pk: shown(piece) for pk, piece in model.objects.in_bulk(pks).items()},
        listed(right.among),
        each_alone,
    )


def _shown(pieces: Any) -> list[tuple[Any, ...]]:
    return [shown(piece) for piece in pieces]
