"""The cache that everyone writes by hand: `get_or_set`, and a receiver that deletes the key.

It is given what it can do: primary keys, and writes that send signals.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.db import models
from django.db.models import signals

from .ground import ROWS
from .subject import ReadRow, ReadRows


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

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._pause: Callable[[], None] = lambda: None
        self.ways = (
            ReadRow("get_or_set()", self.read, ROWS),
            ReadRows("get_or_set() of several", self._several, ROWS),
        )
        for signal in (signals.post_save, signals.post_delete):
            signal.connect(_delete_key, sender=PlainItem)

    def read(self, pk: int) -> Any:
        before = self._counts["load"]
        found = cache.get_or_set(_key(pk), lambda: self._load(pk), 600)
        if self._counts["load"] == before:
            self._counts["hit"] += 1
        return found or None

    @contextmanager
    def pausing(self, pause: Callable[[], None]) -> Iterator[None]:
        self._pause, before = pause, self._pause
        try:
            yield
        finally:
            self._pause = before

    def outcomes(self) -> Mapping[str, int]:
        return dict(self._counts)

    def _load(self, pk: int) -> Any:
        self._counts["load"] += 1
        found = PlainItem.objects.filter(pk=pk).first()
        self._pause()
        return found or False

    def _several(self, pks: Sequence[int]) -> Mapping[int, Any]:
        found = {pk: self.read(pk) for pk in pks}
        return {pk: row for pk, row in found.items() if row is not None}


def _key(pk: int) -> str:
    # Under the run's prefix, so that it is deleted with everything else.
    return f"{settings.CACHEPATTERNS['KEY_PREFIX']}:plain-item:{pk}"


def _delete_key(instance: PlainItem, **kwargs: Any) -> None:
    cache.delete(_key(instance.pk))
