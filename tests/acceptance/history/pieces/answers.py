"""What the right answers to questions about pieces are, made of the chronicle's rows.

Each takes a state and an argument. Lists are sorted as the questions ask for it: by rank, and by
primary key among equals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..ask import Answer, same_keys
from ..chronicle import State
from .ground import Row

COLUMNS = ("pk", "category_id", "slug", "rank", "stock")

Wanted = Callable[[Row, Any], bool]


def shown(piece: Any) -> tuple[Any, ...]:
    """What is compared of an instance."""
    return tuple(getattr(piece, name) for name in COLUMNS)


def listed(wanted: Wanted, limit: int | None = None) -> Answer:
    """The rows that are wanted, the first `limit` of them."""

    def answer(state: State, argument: Any) -> list[Row]:
        return _by_rank(_rows(state, wanted, argument))[:limit]

    return answer


def made_of(wanted: Wanted, make: Callable[[list[Row]], Any], limit: int | None = None) -> Answer:
    """Something that is made of the rows that are wanted, in the order of a list."""
    rows = listed(wanted, limit)

    def answer(state: State, argument: Any) -> Any:
        return make(rows(state, argument))

    return answer


def richest(limit: int) -> Answer:
    """Of all categories, those with the most stock."""

    def answer(state: State, argument: Any) -> list[Row]:
        rows = (Row(*row) for row in state)
        return sorted(rows, key=lambda row: (-row.stock, row.pk))[:limit]

    return answer


def with_names(answer: Answer, states: Sequence[State], argument: Any, seen: Any) -> bool:
    """Pairs of a primary key and its category's name: the category may be of another moment."""
    names: dict[Any, set[Any]] = {}
    categories: dict[Any, set[Any]] = {}
    for row in (Row(*each) for state in states for each in state):
        categories.setdefault(row.pk, set()).add(row.category)
        for category, name in row.names.items():
            names.setdefault(int(category), set()).add(name)
    for pk, name in seen:
        if not any(name in names[category] for category in categories.get(pk, ()) if category):
            return False
    return same_keys(answer, states, argument, [pk for pk, _ in seen])


def in_category(row: Row, category: int) -> bool:
    return row.category == category


def in_categories(row: Row, categories: Sequence[int]) -> bool:
    return row.category in categories


def in_named(row: Row, part: str) -> bool:
    return row.name is not None and row.name.endswith(part)


def marked(row: Row, mark: int) -> bool:
    return mark in row.marks


def in_stock(row: Row, least: int) -> bool:
    return row.stock >= least


def any_piece(row: Row, argument: Any) -> bool:
    return True


def with_slug(row: Row, slug: str) -> bool:
    return row.slug == slug


def among(row: Row, pks: Sequence[int]) -> bool:
    return row.pk in pks


def totals(rows: Iterable[Row]) -> tuple[int | None, int | None]:
    """The sum of the stock and the highest rank; `None` of nothing."""
    rows = list(rows)
    if not rows:
        return None, None
    return sum(row.stock for row in rows), max(row.rank for row in rows)


def _rows(state: State, wanted: Wanted, argument: Any) -> list[Row]:
    return [row for row in (Row(*each) for each in state) if wanted(row, argument)]


def _by_rank(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: (row.rank, row.pk))
