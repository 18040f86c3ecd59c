"""Reads that are counted, for the dashboard to show."""

from __future__ import annotations

import time

from django_cachepatterns.metrics import flushing
from tests.testapp.models import Item, Shelf

MINUTES = 5


def made(hits: int = 97) -> Item:
    """An item that was read once for its load, and so many times more; sent."""
    item = Item.objects.create(name="one", slug="one")
    read(item, hits + 1)
    return item


def read(item: Item, times: int) -> None:
    """Read an item, and have this process send what it has counted."""
    for _ in range(times):
        Item.objects.get(pk=item.pk)
    flushing.flush()


def course() -> Item:
    """Some minutes of reads, for the charts: of one policy above the line, and one below it."""
    now = time.time()
    shelf = Shelf.objects.create(name="shelf")
    item = Item.objects.create(name="one", slug="one", shelf=shelf)
    for minute in range(MINUTES, 0, -1):
        for at in range(20 + minute):
            Item.objects.get(pk=item.pk)
            if at % 2:
                Shelf.objects.filter(pk=shelf.pk).update(name=f"{minute} {at}")
            Shelf.objects.get(pk=shelf.pk)
        flushing.flush(now - 60 * minute)
    return item
