"""Processes that write and read all the time, in every way there is."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from django.db import DatabaseError, connections, transaction
from django.db.models import F, Sum

from django_cachepatterns import audit
from tests.testapp.models import Cafe, Item, Page, Place, UuidRow, Versioned, WrittenPiece

from .ground import KEYS, titles, uuid_of

THREADS = 2
"""Of each process."""


class _Regret(Exception):
    """A transaction is rolled back."""


def busy(stop: Any, seed: int) -> dict[str, int]:
    """Write and read until an event is set. Returns how often each thing was done.

    Lists and counts are audited as they are read: `lists` were compared, `lists accused` wrong.
    """
    done: Counter[str] = Counter()
    threads = [
        threading.Thread(target=_life, args=(stop, random.Random(seed + 1000 * number), done))
        for number in range(THREADS)
    ]
    with audit.watching(share=0.5) as watch:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    done.update({"lists": watch.checked, "lists accused": len(watch.findings)})
    return dict(done)


def _life(stop: Any, chance: random.Random, done: Counter[str]) -> None:
    try:
        while not stop.is_set():
            act = chance.choice(ACTS)
            try:
                act(chance)
            except _Regret:
                done["rolled back"] += 1
            except DatabaseError:
                done["refused"] += 1  # Deadlocks, rows that another has made or deleted.
            done[act.__name__] += 1
            _read(chance)
    finally:
        connections.close_all()


def _read(chance: random.Random) -> None:
    """Everything that was written is cached again at once."""
    keys = [chance.choice(KEYS) for _ in range(4)]
    list(Item.objects.filter(pk__in=keys))
    for model in (WrittenPiece, Versioned, Page, Cafe):
        list(model.objects.filter(pk__in=keys))
    list(UuidRow.objects.filter(pk__in=list(map(uuid_of, keys))))
    for _ in range(2):
        list(Item.objects.filter(name="a").cache(ttl=60))
        list(WrittenPiece.objects.order_by("-rank", "pk").cache(ttl=60)[:5])
        Versioned.objects.filter(n__gt=0).cache(ttl=60).count()
        Item.objects.cache(ttl=60).aggregate(Sum("stock"))
    for find in (
        lambda: Item.objects.get(pk=keys[0]),
        lambda: Item.objects.get(slug=f"slug-{keys[1]}"),
        lambda: Item.objects.get(slug=f"moved-{keys[2]}"),
        lambda: titles.get(keys[3]),
    ):
        with suppress(Item.DoesNotExist, Page.DoesNotExist):
            find()


def save(chance: random.Random) -> None:
    item = Item.objects.nocache().filter(pk=chance.choice(KEYS)).first()
    if item is not None:
        item.name = chance.choice("ab")
        item.save()


def save_through(chance: random.Random) -> None:
    """To and fro between two values: what is cached afterwards is the same, byte for byte."""
    piece = WrittenPiece.objects.nocache().get(pk=chance.choice(KEYS))
    for rank in (1, 2, 1):
        piece.rank = rank
        piece.save(update_fields=["rank"])


def update(chance: random.Random) -> None:
    Item.objects.filter(pk__in=[chance.choice(KEYS)]).update(stock=F("stock") + 1)
    Versioned.objects.filter(pk=chance.choice(KEYS)).update(n=chance.randrange(3))


def bulk_update(chance: random.Random) -> None:
    pages = list(Page.objects.nocache().filter(pk__lt=5).order_by("pk"))
    for page in pages:
        page.likes = chance.randrange(3)
    Page.objects.bulk_update(pages, ["likes"])


def delete_and_make(chance: random.Random) -> None:
    key = chance.choice(KEYS)
    Item.objects.filter(pk=key).delete()
    Item.objects.bulk_create([Item(pk=key, name="a", slug=f"slug-{key}")], ignore_conflicts=True)


def move(chance: random.Random) -> None:
    """A lookup value that others remember the absence of is taken on, and left."""
    key = chance.choice(KEYS)
    with transaction.atomic():
        Item.objects.filter(pk=key).update(slug=f"moved-{key}")
    Item.objects.filter(pk=key).update(slug=f"slug-{key}")


def regret(chance: random.Random) -> None:
    with transaction.atomic():
        Item.objects.filter(pk=chance.choice(KEYS)).update(name="regretted")
        WrittenPiece.objects.filter(pk=chance.choice(KEYS)).update(rank=99)
        if chance.random() < 0.7:
            raise _Regret


def regret_in_part(chance: random.Random) -> None:
    with transaction.atomic():
        Versioned.objects.filter(pk=chance.choice(KEYS)).update(n=7)
        try:
            with transaction.atomic():
                Item.objects.filter(pk=chance.choice(KEYS)).update(name="never")
                raise _Regret
        except _Regret:
            pass


def write_parents(chance: random.Random) -> None:
    key = chance.choice(KEYS)
    Place.objects.filter(pk=key).update(name=f"cafe-{key}-{chance.randrange(2)}")
    cafe = Cafe.objects.nocache().get(pk=key)
    cafe.seats = key + 100 * chance.randrange(2)
    cafe.save()


def count(chance: random.Random) -> None:
    Page.view_counter.increment(chance.choice(KEYS), 2)
    if chance.random() < 0.3:
        Page.view_counter.flush()


def set_value(chance: random.Random) -> None:
    titles.set(chance.choice(KEYS), chance.choice("abc"))


def save_by_uuid(chance: random.Random) -> None:
    with transaction.atomic():
        row = UuidRow.objects.select_for_update().get(pk=uuid_of(chance.choice(KEYS)))
        row.n = 1 - row.n
        row.save()


ACTS: tuple[Callable[[random.Random], None], ...] = (
    *(save, save_through, update, bulk_update, delete_and_make, move, regret),
    *(regret_in_part, write_parents, count, set_value, save_by_uuid),
)
