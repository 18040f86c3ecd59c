"""Functions and values that are cached by hand: the key is deleted, or set, as it is written."""

from __future__ import annotations

from collections.abc import Iterator

from django.core.cache import cache

from ..areas import FUNCTIONS, WRITE_THROUGH
from ..ask import Ask
from ..by_hand import GetOrSet, key_of
from .ground import MOMENTS, NOTICE, names, number, put, right
from .source import Source


def sources(areas: tuple[str, ...], by_hand: GetOrSet) -> Iterator[Source]:
    """What is read, in some areas."""
    if FUNCTIONS in areas:
        for moment in MOMENTS:
            yield Source("tagged", moment, _asks("tagged", moment, FUNCTIONS, by_hand), _delete)
    if WRITE_THROUGH in areas:
        asks = _asks("profile", "within", WRITE_THROUGH, by_hand)
        yield Source("profile", "within", asks, _delete, _write)


def _asks(kind: str, moment: str, area: str, by_hand: GetOrSet) -> list[Ask]:
    read = by_hand.read("notice", number)
    return [
        Ask(
            f"{kind}, told {moment}",
            area,
            NOTICE.name,
            (name,),
            read,
            right,
            announced=name if moment == "after" else "",
        )
        for name in names(kind, moment)
    ]


def _delete(name: str) -> None:
    cache.delete(key_of("notice", name))


def _write(name: str, n: int | None) -> None:
    put(name, n)
    cache.set(key_of("notice", name), ("", n), 600)
