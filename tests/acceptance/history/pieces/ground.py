"""The pieces, and what the chronicle says of each."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..areas import COUNTS, FUNCTIONS, LISTS, LOOKUPS, WRITE_THROUGH
from ..chronicle import Scope

CATEGORIES = (1, 2, 3)
MARKS = (1, 2)
KEPT = (1, 2, 3, 4, 5, 6)
ERASABLE = (7, 8, 9, 10)
PIECES = (*KEPT, *ERASABLE)
SLUGS = tuple(f"piece-{pk}{end}" for pk in PIECES for end in ("", "-b"))
"""Each piece has two, one at a time."""

# The categories' names are those of all: of a piece that is read with its category, each may be
# of another moment.
_QUERY = """
SELECT coalesce(json_agg(json_build_array(
    p.id, p.category_id, p.slug, p.rank, p.stock,
    (SELECT json_object_agg(id, name) FROM testapp_category), {marks}
) ORDER BY p.id), '[]') FROM {table} p
"""
_MARKS = """
(SELECT coalesce(json_agg(m.mark_id ORDER BY m.mark_id), '[]')
FROM testapp_piece_marks m WHERE m.piece_id = p.id)
"""

PIECE = Scope(
    "piece",
    ("testapp_piece", "testapp_category", "testapp_piece_marks"),
    _QUERY.format(table="testapp_piece", marks=_MARKS),
)
WRITTEN = Scope(
    "writtenpiece",
    ("testapp_writtenpiece", "testapp_category"),
    _QUERY.format(table="testapp_writtenpiece", marks="'[]'::json"),
)

AREAS = {PIECE: (LOOKUPS, LISTS, COUNTS, FUNCTIONS), WRITTEN: (WRITE_THROUGH,)}
"""What each of the scopes is for."""


class Row(NamedTuple):
    """A row of the state of a scope."""

    pk: int
    category: int | None
    slug: str
    rank: int
    stock: int
    names: dict[str, str]
    marks: list[int]

    @property
    def name(self) -> str | None:
        """Of its category."""
        return self.names[str(self.category)] if self.category else None


def scopes(areas: tuple[str, ...]) -> list[Scope]:
    """Those that some areas need."""
    return [scope for scope, own in AREAS.items() if set(own) & set(areas)]


def lay() -> None:
    """Make the categories, the marks and the pieces."""
    from tests.testapp.models import Category, Mark, Piece, WrittenPiece

    Category.objects.bulk_create([Category(pk=pk, name=f"category 0 of {pk}") for pk in CATEGORIES])
    Mark.objects.bulk_create([Mark(pk=pk, name=f"mark {pk}") for pk in MARKS])
    models: tuple[Any, ...] = (Piece, WrittenPiece)
    for model in models:
        model.objects.bulk_create(
            [
                model(pk=pk, category_id=pk % 3 + 1, slug=f"piece-{pk}", rank=pk, stock=1)
                for pk in PIECES
            ]
        )


TABLES = ("testapp_category", "testapp_mark", "testapp_piece", "testapp_writtenpiece")
