"""Lists, counts and rows of pieces that are cached by hand.

The receiver deletes the keys of all categories, so that moves are not what it is caught by. The
table that is written through has its row set from the receiver.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.cache import cache
from django.db import models
from django.db.models import Max, Sum, signals

from ..areas import COUNTS, LISTS, LOOKUPS, WRITE_THROUGH
from ..ask import Ask
from ..by_hand import GetOrSet, key_of
from . import answers as right
from .answers import made_of, shown
from .asks import PAGE, SLUGS
from .ground import CATEGORIES, PIECES


class AbstractPlainPiece(models.Model):
    """The table of a model of pieces, without the library."""

    category_id = models.BigIntegerField(null=True)
    slug = models.SlugField(unique=True)
    rank = models.IntegerField(default=0)
    stock = models.BigIntegerField(default=0)

    class Meta:
        abstract = True


class PlainPiece(AbstractPlainPiece):
    class Meta:
        app_label = "testapp"
        db_table = "testapp_piece"
        managed = False


class PlainWrittenPiece(AbstractPlainPiece):
    class Meta:
        app_label = "testapp"
        db_table = "testapp_writtenpiece"
        managed = False


def read_through(by_hand: GetOrSet) -> Iterator[Ask]:
    """Questions about `PlainPiece`."""
    model, scope = PlainPiece, "piece"

    def page(category: int) -> list[Any]:
        pieces = model.objects.filter(category_id=category).order_by("rank", "pk")
        return [shown(piece) for piece in pieces[:PAGE]]

    def totals(category: int) -> tuple[Any, Any]:
        of = model.objects.filter(category_id=category)
        found = of.aggregate(stock=Sum("stock"), rank=Max("rank"))
        return found["stock"], found["rank"]

    def count(category: int) -> int:
        return model.objects.filter(category_id=category).count()

    def by_slug(slug: str) -> list[Any]:
        return [shown(piece) for piece in model.objects.filter(slug=slug)]

    def ask(what: str, area: str, arguments: Any, load: Any, answer: Any) -> Ask:
        return Ask(what, area, scope, arguments, by_hand.read(f"{scope} {what}", load), answer)

    firsts = made_of(right.in_category, lambda rows: [row[:5] for row in rows], PAGE)
    yield ask("page", LISTS, CATEGORIES, page, firsts)
    yield ask("count", COUNTS, CATEGORIES, count, made_of(right.in_category, len))
    yield ask("aggregate", COUNTS, CATEGORIES, totals, made_of(right.in_category, right.totals))
    own = made_of(right.with_slug, lambda rows: [row[:5] for row in rows])
    yield ask("slug", LOOKUPS, SLUGS, by_slug, own)
    for signal in (signals.post_save, signals.post_delete):
        signal.connect(_delete_keys, sender=model)


def write_through(by_hand: GetOrSet) -> Iterator[Ask]:
    """Questions about `PlainWrittenPiece`."""

    def row(pk: int) -> list[Any]:
        return [shown(piece) for piece in PlainWrittenPiece.objects.filter(pk=pk)]

    answer = made_of(lambda each, pk: each.pk == pk, lambda rows: [each[:5] for each in rows])
    read = by_hand.read("writtenpiece row", row)
    yield Ask("row", WRITE_THROUGH, "writtenpiece", PIECES, read, answer)
    signals.post_save.connect(_set_key, sender=PlainWrittenPiece)
    signals.post_delete.connect(_delete_key, sender=PlainWrittenPiece)


def _delete_keys(instance: PlainPiece, **kwargs: Any) -> None:
    of_category = ("piece page", "piece count", "piece aggregate")
    keys = [key_of(what, category) for what in of_category for category in CATEGORIES]
    cache.delete_many([*keys, *(key_of("piece slug", slug) for slug in SLUGS)])


def _set_key(instance: PlainWrittenPiece, **kwargs: Any) -> None:
    fresh = PlainWrittenPiece.objects.get(pk=instance.pk)  # It may hold expressions.
    cache.set(key_of("writtenpiece row", instance.pk), ("", [shown(fresh)]), 600)


def _delete_key(instance: PlainWrittenPiece, **kwargs: Any) -> None:
    cache.delete(key_of("writtenpiece row", instance.pk))
