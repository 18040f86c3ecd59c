"""The ways in which what lists of pieces are joined with is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.db import transaction

from tests.testapp.models import Category, Mark, Piece

from ..ask import Ask
from ..hand import Hand, Regret
from .ground import CATEGORIES, KEPT, MARKS, PIECE, PIECES


class RelationStyles:
    """Writes of categories, of marks, and of slugs.

    Args:
        hand: that of the writer.
        asks: questions about `Piece`.
    """

    def __init__(self, hand: Hand, asks: Sequence[Ask]) -> None:
        self._hand = hand
        self._rng = hand.rng
        self._asks = asks

    def by_name(self) -> Mapping[str, Callable[[], None]]:
        """All of them."""
        return {
            "category renamed": self._rename,
            "category renamed, and rolled back": self._rename_and_regret,
            "marks of a piece": self._mark_piece,
            "pieces of a mark": self._mark_pieces,
            "marks, rolled back": self._mark_and_regret,
            "slug moved": self._move_slug,
        }

    def _rename(self) -> None:
        with transaction.atomic():
            category = self._any_category()
            self._give_name(category, self._name())
            self._look()

    def _rename_and_regret(self) -> None:
        with transaction.atomic():
            category = self._any_category()
            self._give_name(category, f"poison {self._name()}")
            self._look()
            raise Regret

    def _mark_piece(self) -> None:
        with transaction.atomic(), self._hand.alone():
            self._mark(Piece.objects.get(pk=self._rng.choice(PIECES)))
            self._look()

    def _mark_pieces(self) -> None:
        mark = Mark.objects.get(pk=self._rng.choice(MARKS))
        pieces = self._rng.sample(KEPT, 2)
        with transaction.atomic(), self._hand.alone():
            how = self._rng.choice((mark.pieces.add, mark.pieces.remove))
            how(*Piece.objects.filter(pk__in=pieces))
            self._look()

    def _mark_and_regret(self) -> None:
        with transaction.atomic(), self._hand.alone():
            self._mark(Piece.objects.get(pk=self._rng.choice(PIECES)))
            self._look()
            raise Regret

    def _move_slug(self) -> None:
        with transaction.atomic():
            piece = Piece.objects.select_for_update().get(pk=self._rng.choice(KEPT))
            piece.slug = f"piece-{piece.pk}" + ("" if piece.slug.endswith("-b") else "-b")
            piece.save(update_fields=["slug"])
            self._look()

    # Their parts

    def _any_category(self) -> Any:
        locked = Category.objects.select_for_update(no_key=True)
        return locked.get(pk=self._rng.choice(CATEGORIES))

    def _give_name(self, category: Any, name: str) -> None:
        if self._rng.random() < 0.5:
            category.name = name
            category.save()
        else:
            Category.objects.filter(pk=category.pk).update(name=name)

    def _name(self) -> str:
        return f"category {self._rng.randint(1, 1_000_000)} of {self._rng.choice(CATEGORIES)}"

    def _mark(self, piece: Any) -> None:
        mark = self._rng.choice(MARKS)
        ways: list[Callable[[], object]] = [
            lambda: piece.marks.add(mark),
            lambda: piece.marks.remove(mark),
            lambda: piece.marks.set([mark]),
            lambda: piece.marks.clear(),
        ]
        self._rng.choice(ways)()

    def _look(self) -> None:
        self._hand.own(self._asks, PIECE)
        self._hand.promise(self._asks)
        self._hand.pause()
