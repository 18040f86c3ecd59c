"""The library, read in every way that it serves from the cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from django_cachepatterns import hooks, metrics
from django_cachepatterns.stores import RedisStore
from tests.testapp.models import Item, Label

from .ground import KEPT, ROWS
from .hand import Hand
from .subject import ReadRow, ReadRows, ReadSlug, Styles
from .worlds import worlds


class CachePatterns:
    """Items, the labels that refer to them, and the worlds of the other areas."""

    model = Item
    by_signals_only = False

    def __init__(self, areas: tuple[str, ...]) -> None:
        self.ways = (
            ReadRow("get(pk=)", self.read, ROWS),
            ReadRow("first()", self._first, ROWS),
            ReadRow("label.item", self._followed, KEPT),
            ReadRows("filter(pk__in=)", self._filtered, ROWS),
            ReadRows("in_bulk()", Item.objects.in_bulk, ROWS),
            ReadRows("prefetch_related()", self._prefetched, KEPT),
            ReadSlug("get(slug=)", self._by_slug),
            ReadSlug("filter(slug=).first()", self._first_by_slug),
        )
        self._worlds = list(worlds(areas))
        self.asks = tuple(ask for world in self._worlds for ask in world.asks)

    def read(self, pk: int) -> Any:
        try:
            return Item.objects.get(pk=pk)
        except Item.DoesNotExist:
            return None

    def styles(self, hand: Hand) -> Styles:
        found: Styles = {}
        for world in self._worlds:
            found |= world.styles(hand)
        return found

    @contextmanager
    def pausing(self, pause: Callable[[], None]) -> Iterator[None]:
        install = RedisStore.install

        def install_slowly(store: RedisStore, *arguments: Any) -> list[bool]:
            for _ in range(5):  # As long as a whole write of another.
                pause()
            return install(store, *arguments)

        RedisStore.install = install_slowly  # type: ignore[method-assign]
        try:
            with hooks.listening(
                before_fill=lambda loaded: pause(), before_end_write=lambda written: pause()
            ):
                yield
        finally:
            RedisStore.install = install  # type: ignore[method-assign]

    def outcomes(self) -> Mapping[str, int]:
        return metrics.snapshot()

    def _first(self, pk: int) -> Any:
        return Item.objects.filter(pk=pk).first()

    def _followed(self, pk: int) -> Any:
        return Label.objects.get(pk=pk).item

    def _filtered(self, pks: Sequence[int]) -> Mapping[int, Any]:
        return {item.pk: item for item in Item.objects.filter(pk__in=pks)}

    def _prefetched(self, pks: Sequence[int]) -> Mapping[int, Any]:
        labels = Label.objects.filter(pk__in=pks).prefetch_related("item")
        return {label.pk: label.item for label in labels}

    def _by_slug(self, slug: str) -> Any:
        try:
            return Item.objects.get(slug=slug)
        except Item.DoesNotExist:
            return None

    def _first_by_slug(self, slug: str) -> Any:
        return Item.objects.filter(slug=slug).first()
