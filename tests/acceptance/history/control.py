"""The cache that everyone writes by hand: `get_or_set`, and a receiver that deletes the key.

It is given what it can do: primary keys, simple lists, and writes that send signals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from django.core.cache import cache
from django.db import models
from django.db.models import signals

from .areas import COUNTS, LISTS, LOOKUPS, SESSIONS, WRITE_THROUGH
from .ask import Ask
from .by_hand import GetOrSet, key_of
from .ground import ROWS
from .hand import Hand
from .notices import control as notices
from .notices.source import Source
from .notices.styles import NoticeStyles
from .pieces import control as pieces
from .pieces.ground import PIECE, WRITTEN
from .pieces.styles import Pieces, PieceStyles
from .sessions import ground as sessions
from .sessions.control import SessionStore
from .sessions.styles import SessionStyles
from .subject import ReadRow, ReadRows, Styles


class PlainItem(models.Model):
    """The table of `Item`, without the library."""

    name = models.CharField(max_length=40)
    slug = models.SlugField(unique=True)
    shelf_id = models.BigIntegerField(null=True)
    place = models.IntegerField(default=0)
    stock = models.BigIntegerField(default=0)

    class Meta:
        app_label = "testapp"
        db_table = "testapp_item"
        managed = False


class Control:
    """Plain rows, cached by hand."""

    model = PlainItem
    by_signals_only = True

    def __init__(self, areas: tuple[str, ...]) -> None:
        self._by_hand = GetOrSet()
        self.ways = (
            ReadRow("get_or_set()", self.read, ROWS),
            ReadRows("get_or_set() of several", self._several, ROWS),
        )
        for signal in (signals.post_save, signals.post_delete):
            signal.connect(_delete_key, sender=PlainItem)
        self._pieces = list(_pieces(areas, self._by_hand))
        self._sources: list[Source] = list(notices.sources(areas, self._by_hand))
        self._sessions = list(sessions.asks(SessionStore)) if SESSIONS in areas else []
        self.asks: Sequence[Ask] = (
            *(ask for each in self._pieces for ask in each.asks),
            *(ask for source in self._sources for ask in source.asks),
            *self._sessions,
        )

    def read(self, pk: int) -> Any:
        return self._by_hand.get("item", pk, lambda pk: PlainItem.objects.filter(pk=pk).first())

    def styles(self, hand: Hand) -> Styles:
        found: Styles = {}
        for each in self._pieces:
            found |= PieceStyles(hand, each).by_name()
        for source in self._sources:
            found |= NoticeStyles(hand, source).by_name()
        if self._sessions:
            found |= SessionStyles(hand, SessionStore, self._sessions).by_name()
        return found

    @contextmanager
    def pausing(self, pause: Callable[[], None]) -> Iterator[None]:
        self._by_hand.pause, before = pause, self._by_hand.pause
        try:
            yield
        finally:
            self._by_hand.pause = before

    def outcomes(self) -> Mapping[str, int]:
        return dict(self._by_hand.counts)

    def _several(self, pks: Sequence[int]) -> Mapping[int, Any]:
        found = {pk: self.read(pk) for pk in pks}
        return {pk: row for pk, row in found.items() if row is not None}


def _pieces(areas: tuple[str, ...], by_hand: GetOrSet) -> Iterator[Pieces]:
    asks = [ask for ask in pieces.read_through(by_hand) if ask.area in areas]
    if {LISTS, COUNTS, LOOKUPS} & set(areas):
        yield Pieces(pieces.PlainPiece, PIECE, asks, True)
    if WRITE_THROUGH in areas:
        asks = list(pieces.write_through(by_hand))
        yield Pieces(pieces.PlainWrittenPiece, WRITTEN, asks, True)


def _delete_key(instance: PlainItem, **kwargs: Any) -> None:
    cache.delete(key_of("item", instance.pk))
