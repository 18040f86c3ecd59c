"""The library's functions and values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from django.db import connection

from django_cachepatterns import ReadThrough, WriteThrough, cache_aside, invalidate
from tests.testapp.models import Piece

from ..areas import FUNCTIONS, WRITE_THROUGH
from ..ask import Ask
from ..pieces import answers
from ..pieces.ground import CATEGORIES, PIECE
from .ground import MOMENTS, NOTICE, names, number, numbers, put, right
from .source import Source

TTL = 300


def sources(areas: tuple[str, ...]) -> Iterator[Source]:
    """What is read, in some areas."""
    for moment in MOMENTS:
        if FUNCTIONS in areas:
            yield _tagged(moment)
            yield _keyed(moment)
            yield _value(moment)
    if WRITE_THROUGH in areas:
        yield _profile()


def of_models(areas: tuple[str, ...]) -> Iterator[Ask]:
    """Functions of a model's rows: nobody has to tell of anything."""
    if FUNCTIONS not in areas:
        return

    @cache_aside(key="history-stock:{category}", ttl=TTL, depends_on=[Piece])
    def stock(category: int) -> list[Any]:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*), sum(stock)::bigint FROM testapp_piece WHERE category_id = %s",
                [category],
            )
            return list(cursor.fetchone())

    totals = answers.made_of(answers.in_category, lambda rows: [len(rows), answers.totals(rows)[0]])
    yield Ask("function of a model", FUNCTIONS, PIECE.name, CATEGORIES, stock, totals)


def _tagged(moment: str) -> Source:
    tag = f"history-{moment}"

    @cache_aside(key=f"{tag}-tagged:{{name}}", ttl=TTL, tags=[tag])
    def tagged(name: str) -> int | None:
        return number(name)

    asks = _asks("function with a tag", "tagged", moment, tagged, FUNCTIONS)
    return Source("tagged", moment, asks, lambda name: invalidate(tag))


def _keyed(moment: str) -> Source:
    @cache_aside(key=f"history-{moment}-keyed:{{name}}", ttl=TTL)
    def keyed(name: str) -> int | None:
        return number(name)

    asks = _asks("function by its key", "keyed", moment, keyed, FUNCTIONS)
    return Source("keyed", moment, asks, keyed.invalidate)


def _value(moment: str) -> Source:
    value = ReadThrough(f"history-{moment}-value", load=number, load_many=numbers, ttl=TTL)
    asks = _asks("ReadThrough.get", "value", moment, value.get, FUNCTIONS)
    asks += _asks(
        "ReadThrough.get_many", "value", moment, lambda name: _several(value, name), FUNCTIONS
    )
    return Source("value", moment, asks, value.invalidate)


def _profile() -> Source:
    profile = WriteThrough("history-profile", load=number, write=put, ttl=TTL)
    asks = _asks("WriteThrough.get", "profile", "within", profile.get, WRITE_THROUGH)
    return Source("profile", "within", asks, profile.invalidate, profile.set)


def _several(value: Any, name: str) -> int | None:
    others = [each for moment in MOMENTS for each in names("value", moment)]
    found: int | None = value.get_many([name, *others]).get(name)
    return found


def _asks(how: str, kind: str, moment: str, read: Callable[[str], Any], area: str) -> list[Ask]:
    """One for each notice: those that are told of after the commit are announced one by one."""
    return [
        Ask(
            f"{how}, told {moment}",
            area,
            NOTICE.name,
            (name,),
            read,
            right,
            announced=name if moment == "after" else "",
        )
        for name in names(kind, moment)
    ]
