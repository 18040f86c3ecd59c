"""The ways in which pieces are written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import F

from ..ask import Ask
from ..chronicle import Scope
from ..hand import POISON, Hand, Regret
from ..statements import CHANGES, CREATIONS, DELETIONS
from .ground import CATEGORIES, ERASABLE, KEPT, PIECES


class Pieces(NamedTuple):
    """One table of pieces behind one cache."""

    model: Any
    scope: Scope
    asks: Sequence[Ask]
    by_signals_only: bool


class PieceStyles:
    """Writes of one table.

    Args:
        hand: that of the writer.
        pieces: what is written.
    """

    def __init__(self, hand: Hand, pieces: Pieces) -> None:
        self._hand = hand
        self._rng = hand.rng
        self._model, self._scope, self._asks, self._signals = pieces

    def by_name(self) -> Mapping[str, Callable[[], None]]:
        """All of them."""
        styles = {
            "in place": self._in_place,
            "the hottest": self._hottest,
            "moved": self._move,
            "made or deleted": self._make_or_delete,
            "rolled back": self._roll_back,
            "savepoint rolled back": self._savepoint,
            "long": self._long,
        }
        if not self._signals:
            styles |= {
                "moved in autocommit": self._move_in_autocommit,
                "category in one UPDATE": self._update_category,
                "category moved": self._move_category,
                "bulk_update": self._bulk_update,
                "bulk_create": self._bulk_create,
                "deleted by query": self._delete_several,
            }
        return {f"{self._scope.name} {name}": style for name, style in styles.items()}

    def _in_place(self) -> None:
        with transaction.atomic():
            piece = self._locked(self._rng.choice(PIECES))
            self._change(piece, rank=self._rng.randint(1, 9))
            self._look()

    def _hottest(self) -> None:
        """Short writes of one row, one close upon another."""
        for _ in range(4):
            with transaction.atomic():
                self._change(self._locked(KEPT[0]))

    def _move(self) -> None:
        with transaction.atomic():
            piece = self._locked(self._rng.choice(PIECES))
            self._change(piece, category_id=self._another(piece.category_id))
            self._look()

    def _move_in_autocommit(self) -> None:
        pk, category = self._rng.choice(PIECES), self._rng.choice(CATEGORIES)
        if self._rng.random() < 0.5:
            self._model.objects.filter(pk=pk).update(category=category, stock=F("stock") + 1)
        else:
            piece = self._model(pk=pk, category_id=category)
            piece.save(update_fields=["category"])

    def _update_category(self) -> None:
        category = self._rng.choice(CATEGORIES)
        with self._hand.alone(for_transaction=False):
            self._model.objects.filter(category=category).update(stock=F("stock") + 1)

    def _move_category(self) -> None:
        category = self._rng.choice(CATEGORIES)
        with transaction.atomic(), self._hand.alone():
            others = self._model.objects.filter(category=category, rank__lt=self._rng.randint(1, 9))
            others.update(category=self._another(category), stock=F("stock") + 1)
            self._look()

    def _bulk_update(self) -> None:
        with transaction.atomic(), self._hand.alone():
            pieces = self._lock_several(self._rng.sample(PIECES, 3))
            for piece in pieces:
                piece.stock += 1
                piece.category_id = self._rng.choice(CATEGORIES)
            self._model.objects.bulk_update(pieces, ["stock", "category"])
            self._look()

    def _bulk_create(self) -> None:
        with transaction.atomic(), self._hand.alone():
            there = {piece.pk for piece in self._lock_several(ERASABLE)}
            new = [self._new(pk) for pk in ERASABLE if pk not in there]
            ignores = self._rng.random() < 0.3
            self._model.objects.bulk_create(new, ignore_conflicts=ignores)
            self._look()

    def _delete_several(self) -> None:
        category = self._rng.choice(CATEGORIES)
        with transaction.atomic(), self._hand.alone():
            self._model.objects.filter(category=category, pk__in=ERASABLE).delete()
            self._look()

    def _make_or_delete(self) -> None:
        pk = self._rng.choice(ERASABLE)
        with transaction.atomic(), self._hand.alone():
            self._turn(pk)
            self._look()

    def _roll_back(self) -> None:
        with transaction.atomic(), self._hand.alone():
            self._poison()
            raise Regret

    def _savepoint(self) -> None:
        with transaction.atomic(), self._hand.alone():
            piece = self._locked(self._rng.choice(KEPT))
            if self._rng.random() < 0.5:
                self._change(piece)
            with self._hand.regretted():
                self._poison()
            self._hand.own(self._asks, self._scope)
            if self._rng.random() < 0.5:
                piece = self._locked(piece.pk)
                self._change(piece, category_id=self._another(piece.category_id))
            self._look()

    def _long(self) -> None:
        with transaction.atomic():
            piece = self._locked(self._rng.choice(PIECES))
            self._change(piece, category_id=self._another(piece.category_id))
            self._hand.long_pause()
            self._hand.own(self._asks, self._scope)
            if self._rng.random() < 0.3:
                raise Regret
            self._hand.promise(self._asks)

    # Their parts

    def _locked(self, pk: int) -> Any:
        return self._model.objects.select_for_update(no_key=True).get(pk=pk)

    def _lock_several(self, pks: Sequence[int]) -> list[Any]:
        pieces = self._model.objects.select_for_update(no_key=True).filter(pk__in=pks)
        return list(pieces.order_by("pk"))

    def _change(self, piece: Any, **changes: Any) -> None:
        how = self._rng.choice(CHANGES[self._signals])
        self._hand.tally.count(f"statement: {how.__name__}")
        how(piece, {"stock": piece.stock + 1, **changes})

    def _turn(self, pk: int) -> None:
        """Delete a piece if it is there, make it if it is not."""
        piece = self._model.objects.select_for_update(no_key=True).filter(pk=pk).first()
        if piece is None:
            self._rng.choice(CREATIONS[self._signals])(self._new(pk))
        else:
            self._rng.choice(DELETIONS)(piece)

    def _poison(self) -> None:
        """Change, move, make and delete what is never committed so."""
        piece = self._locked(self._rng.choice(KEPT))
        poison = POISON - self._rng.randint(0, 999)
        self._change(piece, stock=poison, category_id=self._another(piece.category_id))
        self._hand.own(self._asks, self._scope)
        if self._rng.random() < 0.5:
            self._turn(self._rng.choice(ERASABLE))
            self._hand.own(self._asks, self._scope)
        self._hand.pause()

    def _look(self) -> None:
        self._hand.own(self._asks, self._scope)
        self._hand.promise(self._asks)
        self._hand.pause()

    def _new(self, pk: int) -> Any:
        slug = f"piece-{pk}" + self._rng.choice(("", "-b"))
        rank, category = self._rng.randint(1, 9), self._rng.choice(CATEGORIES)
        return self._model(pk=pk, category_id=category, slug=slug, rank=rank, stock=1)

    def _another(self, category: int | None) -> int:
        return self._rng.choice([each for each in CATEGORIES if each != category])
