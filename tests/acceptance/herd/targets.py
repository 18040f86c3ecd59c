"""What herds want: one value each, whose load asks the database for it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from django.db import connection

from django_cachepatterns import cache_aside, invalidate
from tests.testapp.models import Category, Item, Piece

KEY, FUNCTIONS, TAGGED = 1, 2, 3
"""Items: the row that is wanted, and those that functions read."""


class Target(NamedTuple):
    """One cached value.

    Args:
        table: a statement that asks for this is a load.
        read: the value, through the cache.
        change: commits a new value, and tells the cache.
        old: the value before the change.
        new: the value after it.
    """

    table: str
    read: Callable[[], Any]
    change: Callable[[], object]
    old: Any = 7
    new: Any = 8


@cache
def target(name: str) -> Target:
    """A target by its name."""
    return {"row": _row, "list": _list, "function": _function, "tagged": _tagged}[name]()


def lay() -> None:
    """Make what is wanted."""
    for pk in (KEY, FUNCTIONS, TAGGED):
        Item.objects.create(pk=pk, name="hot", slug=f"hot-{pk}", place=pk, stock=7)
    Category.objects.create(pk=KEY, name="hot")
    for pk in range(1, 41):
        Piece.objects.create(pk=pk, category_id=KEY, slug=f"piece-{pk}", rank=pk)


def _row() -> Target:
    def change() -> None:
        _sell(KEY)
        invalidate(Item(pk=KEY))

    return Target("testapp_item", lambda: Item.objects.get(pk=KEY).stock, change)


def _list() -> Target:
    def read() -> list[int]:
        page = Piece.objects.filter(category=KEY).order_by("rank")[:20]
        return [piece.rank for piece in page.cache(ttl=300)]

    def change() -> None:
        _execute("UPDATE testapp_piece SET rank = rank + 100", [])
        invalidate(Piece)

    return Target("testapp_piece", read, change, [*range(1, 21)], [*range(101, 121)])


def _function() -> Target:
    @cache_aside(key="herd-function:{key}", ttl=300, lease_ttl=60, lease_wait=60)
    def stock(key: int) -> int:
        return _stock(key)

    def change() -> None:
        _sell(FUNCTIONS)
        stock.invalidate(FUNCTIONS)

    return Target("testapp_item", lambda: stock(FUNCTIONS), change)


def _tagged() -> Target:
    @cache_aside(key="herd-tagged:{key}", ttl=300, tags=["herd"], lease_ttl=60, lease_wait=60)
    def stock(key: int) -> int:
        return _stock(key)

    def change() -> None:
        _sell(TAGGED)
        invalidate("herd")

    return Target("testapp_item", lambda: stock(TAGGED), change)


def _stock(key: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT stock FROM testapp_item WHERE id = %s", [key])
        return int(cursor.fetchone()[0])


def _sell(key: int) -> None:
    """Behind the cache's back."""
    _execute("UPDATE testapp_item SET stock = 8 WHERE id = %s", [key])


def _execute(sql: str, arguments: list[int]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, arguments)
