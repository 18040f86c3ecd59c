"""One table of twelve mixed columns and about a kilobyte a row, once for each contender."""

from __future__ import annotations

from uuid import uuid4

from django.db import models
from django.utils import timezone

from django_cachepatterns import CachePolicy
from django_cachepatterns.models import CachedModel
from django_cachepatterns.write_behind import Counter, Leaderboard


class Item(models.Model):
    """Twelve columns with the primary key."""

    slug = models.SlugField(max_length=80, unique=True)
    name = models.CharField(max_length=120)
    description = models.TextField()
    price = models.DecimalField(max_digits=10, decimal_places=2)
    quantity = models.IntegerField(default=0)
    weight = models.FloatField()
    active = models.BooleanField(default=True)
    released = models.DateField()
    created = models.DateTimeField(default=timezone.now)
    uuid = models.UUIDField(default=uuid4)
    attributes = models.JSONField(default=dict)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.name


class PlainItem(Item):
    """Django as it is: what the others are compared with, and what `get_or_set` keeps."""


class CachedItem(Item, CachedModel):
    """This library."""

    cache_policy = CachePolicy(pattern="read_through", ttl=3600, lookups=["slug"])
    quantity_counter = Counter("quantity")


class WrittenItem(Item, CachedModel):
    """This library, with rows that are written through."""

    cache_policy = CachePolicy(pattern="write_through", ttl=3600)


class IndexedItem(Item, CachedModel):
    """This library, with lists that are told apart by a column."""

    cache_policy = CachePolicy(ttl=3600, indexes=["active"])


class WarmedItem(Item, CachedModel):
    """This library, with rows that are warmed."""

    cache_policy = CachePolicy(ttl=3600)


class PointedItem(Item, CachedModel):
    """The same, with lookups beside them."""

    cache_policy = CachePolicy(ttl=3600, lookups=["slug"])


class StoredItem(Item):
    """A plain model: where values that are written through are kept."""


class CacheopsItem(Item):
    """django-cacheops, by the settings of its own process."""


class CachalotItem(Item):
    """django-cachalot, by the settings of its own process."""


class Box(models.Model):
    """What parts are followed to, and deleted with."""

    name = models.CharField(max_length=40)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.name


class PlainBox(Box):
    pass


class CachedBox(Box, CachedModel):
    pass


class PlainPart(models.Model):
    box = models.ForeignKey(PlainBox, on_delete=models.CASCADE)

    def __str__(self) -> str:
        return f"part {self.pk}"


class CachedPart(CachedModel):
    box = models.ForeignKey(CachedBox, on_delete=models.CASCADE)


class Page(models.Model):
    """Something that is viewed."""

    title = models.CharField(max_length=80)
    body = models.TextField()
    views = models.PositiveBigIntegerField(default=0)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.title


class PlainPage(Page):
    """Written at once."""


class CountedPage(Page, CachedModel):
    """Written behind."""

    view_counter = Counter("views")


class UncachedPage(Page):
    """Written behind, but not cached: a flush has no entries to mark."""

    view_counter = Counter("views")


class Player(models.Model):
    """Somebody who is ranked."""

    score = models.IntegerField()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"player {self.pk}"


class RankedPlayer(Player):
    """Ranked by this library, or by SQL without an index."""


class IndexedPlayer(Player):
    """Ranked by SQL with an index."""

    class Meta:
        indexes = (models.Index(fields=["-score", "id"], name="ranking"),)


ranking = Leaderboard("ranking", model=RankedPlayer, field="score")
