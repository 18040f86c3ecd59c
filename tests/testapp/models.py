"""Models for the tests: each has one thing that caching could get wrong."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib.postgres.fields import (
    ArrayField,
    BigIntegerRangeField,
    DateRangeField,
    DateTimeRangeField,
    DecimalRangeField,
    HStoreField,
    IntegerRangeField,
)
from django.db import models
from django.db.models import functions

from django_cachepatterns import CachePolicy
from django_cachepatterns.managers import CachedManager
from django_cachepatterns.models import CachedModel
from django_cachepatterns.querysets import CachedQuerySet
from django_cachepatterns.write_behind import Counter, Leaderboard


class Shelf(CachedModel):
    name = models.CharField(max_length=40)


class Item(CachedModel):
    """The plain one: a row with a lookup, a foreign key and a counter."""

    name = models.CharField(max_length=40)
    slug = models.SlugField(unique=True)
    shelf = models.ForeignKey(Shelf, null=True, on_delete=models.SET_NULL, related_name="items")
    place = models.IntegerField(default=0)
    stock = models.BigIntegerField(default=0)

    cache_policy = CachePolicy(ttl=600, lookups=["slug", ("shelf", "place")])

    class Meta:
        constraints = (models.UniqueConstraint(fields=["shelf", "place"], name="place_on_shelf"),)


class Label(CachedModel):
    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="labels")
    text = models.CharField(max_length=40)


class Detail(CachedModel):
    """A one-to-one as primary key, and one by a unique column."""

    item = models.OneToOneField(Item, on_delete=models.CASCADE, primary_key=True)
    weight = models.IntegerField(default=0)


class ByName(CachedModel):
    """A foreign key to a unique column that is not the primary key."""

    item = models.ForeignKey(Item, to_field="slug", on_delete=models.CASCADE)


class Tagging(CachedModel):
    item = models.ForeignKey("Basket", on_delete=models.CASCADE)
    thing = models.ForeignKey(Item, on_delete=models.CASCADE)
    note = models.CharField(max_length=20, default="")


class Basket(models.Model):
    """Not cached itself; its many-to-many goes through rows that are."""

    things = models.ManyToManyField(Item, through=Tagging)


class Place(CachedModel):
    name = models.CharField(max_length=40, unique=True)

    cache_policy = CachePolicy(lookups=["name"])


class Cafe(Place):
    seats = models.IntegerField(default=0, unique=True)

    cache_policy = CachePolicy(lookups=["name", "seats", ("name", "seats")])


class Building(models.Model):
    """A parent that is not cached, of a child that is."""

    city = models.CharField(max_length=40)


class School(Building):
    pupils = models.IntegerField(default=0)

    objects = CachedManager()


class ItemProxy(Item):
    class Meta:
        proxy = True

    def shout(self) -> str:
        return self.name.upper()


class UuidRow(CachedModel):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    n = models.IntegerField(default=0)


class TextRow(CachedModel):
    code = models.CharField(primary_key=True, max_length=200)
    n = models.IntegerField(default=0)


class LiveQuerySet(CachedQuerySet[Any]):
    def expensive(self) -> LiveQuerySet:
        return self.filter(n__gt=100)


class LiveManager(CachedManager.from_queryset(LiveQuerySet)):  # type: ignore[misc]
    def get_queryset(self) -> LiveQuerySet:
        return super().get_queryset().filter(hidden=False)


class Filtered(CachedModel):
    """A default manager that hides rows."""

    n = models.IntegerField(default=0)
    hidden = models.BooleanField(default=False)

    objects = LiveManager()
    everything = CachedManager.from_queryset(LiveQuerySet)()


class TtlOnly(CachedModel):
    n = models.IntegerField(default=0)

    cache_policy = CachePolicy(ttl=600, invalidation="ttl")


class Readable(CachedModel):
    n = models.DecimalField(max_digits=8, decimal_places=2)
    at = models.DateTimeField(null=True)

    cache_policy = CachePolicy(codec="json")


class Commas(models.TextField):
    """A list of words in a text column: a field with `from_db_value`."""

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Any:
        return None if value is None else value.split(",")

    def to_python(self, value: Any) -> Any:
        return value.split(",") if isinstance(value, str) else value

    def get_prep_value(self, value: Any) -> Any:
        return ",".join(value) if isinstance(value, list) else value


class Point(models.Field):
    """A field with a column type of its own."""

    def db_type(self, connection: Any) -> str:
        return "point"

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Any:
        return None if value is None else tuple(map(float, value.strip("()").split(",")))

    def get_prep_value(self, value: Any) -> Any:
        return None if value is None else "({},{})".format(*value)


class Everything(CachedModel):
    """A column of every kind, all of them nullable."""

    small = models.SmallIntegerField(null=True)
    integer = models.IntegerField(null=True)
    big = models.BigIntegerField(null=True)
    positive = models.PositiveIntegerField(null=True)
    decimal = models.DecimalField(max_digits=30, decimal_places=10, null=True)
    floating = models.FloatField(null=True)
    boolean = models.BooleanField(null=True)
    char = models.CharField(max_length=100, null=True)
    text = models.TextField(null=True)
    email = models.EmailField(null=True)
    url = models.URLField(null=True)
    date = models.DateField(null=True)
    time = models.TimeField(null=True)
    at = models.DateTimeField(null=True)
    duration = models.DurationField(null=True)
    uuid = models.UUIDField(null=True)
    json = models.JSONField(null=True)
    binary = models.BinaryField(null=True)
    ip = models.GenericIPAddressField(null=True)
    file = models.FileField(null=True)
    image_path = models.FilePathField(null=True)
    ints = ArrayField(models.IntegerField(null=True), null=True)
    grid = ArrayField(ArrayField(models.DecimalField(max_digits=9, decimal_places=3)), null=True)
    moments = ArrayField(models.DateTimeField(), null=True)
    int_range = IntegerRangeField(null=True)
    big_range = BigIntegerRangeField(null=True)
    decimal_range = DecimalRangeField(null=True)
    date_range = DateRangeField(null=True)
    moment_range = DateTimeRangeField(null=True)
    hstore = HStoreField(null=True)
    commas = Commas(null=True)
    point = Point(null=True)
    doubled = models.GeneratedField(
        expression=models.F("integer") * 2,
        output_field=models.BigIntegerField(),
        db_persist=True,
        null=True,
    )


class Bar(Place):
    """A second child of `Place`, which may share its row with a `Cafe`."""

    beers = models.IntegerField(default=0)


class UuidSlug(CachedModel):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    slug = models.SlugField(unique=True)
    n = models.IntegerField(default=0)


class Masked(models.BigIntegerField):
    """Prepared twice, a value is another: what a key is made of must not depend on how often."""

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        return None if value is None else value ^ 5

    def get_prep_value(self, value: Any) -> Any:
        value = super().get_prep_value(value)
        return None if value is None else value ^ 5


class MaskedRow(CachedModel):
    code = Masked(unique=True)
    n = models.IntegerField(default=0)

    cache_policy = CachePolicy(lookups=["code"])


class Category(CachedModel):
    name = models.CharField(max_length=40)


class Mark(CachedModel):
    name = models.CharField(max_length=40)


class AbstractPiece(CachedModel):
    """What lists are made of: in a category, in an order, with a number to add up."""

    category = models.ForeignKey(Category, null=True, on_delete=models.SET_NULL)
    slug = models.SlugField(unique=True)
    rank = models.IntegerField(default=0)
    stock = models.BigIntegerField(default=0)

    class Meta:
        abstract = True


class Piece(AbstractPiece):
    marks = models.ManyToManyField(Mark, related_name="pieces")

    cache_policy = CachePolicy(ttl=600, lookups=["slug"], indexes=["category"])


class WrittenPiece(AbstractPiece):
    cache_policy = CachePolicy(
        pattern="write_through", ttl=600, lookups=["slug"], indexes=["category"]
    )


class Ticket(CachedModel):
    """Several columns that lists are pinned by, one of which only the database computes."""

    state = models.CharField(max_length=20, null=True)
    day = models.DateField(null=True)
    rank = models.IntegerField(default=0)
    tens = models.GeneratedField(
        expression=models.F("rank") / 10,
        output_field=models.IntegerField(),
        db_persist=True,
    )

    urgent = models.BooleanField(default=False)

    cache_policy = CachePolicy(ttl=600, indexes=["state", "day", "tens", "urgent"])


class Versioned(CachedModel):
    """Rows that depend on their table's version."""

    n = models.IntegerField(default=0)

    cache_policy = CachePolicy(ttl=600, invalidation="version")


class OddTable(CachedModel):
    """A table and a column whose names have quotes in them."""

    n = models.IntegerField(default=0, db_column="it's n")

    class Meta:
        db_table = "Bob's Table"


class OtherSchema(CachedModel):
    """A table that is named with its schema."""

    n = models.IntegerField(default=0)

    class Meta:
        db_table = '"public"."testapp_otherschema"'


from tests.testapp import plain  # noqa: E402, F401 - its models are of this app, too


class Page(CachedModel):
    """Counted in: two counters, one of which the database may refuse."""

    title = models.CharField(max_length=40, default="")
    views = models.PositiveBigIntegerField(default=0)
    likes = models.PositiveSmallIntegerField(null=True)
    shelf = models.ForeignKey(Shelf, null=True, on_delete=models.CASCADE)

    view_counter = Counter("views")
    like_counter = Counter("likes", strict=True)

    cache_policy = CachePolicy(ttl=600, indexes=["shelf"])


class Essay(Page):
    """Inherits its counters with the table that they write."""

    words = models.IntegerField(default=0)

    word_counter = Counter("words")

    cache_policy = CachePolicy(ttl=600)


class Visit(models.Model):
    """Counted in and not cached, by a key that is no integer."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    hits = models.IntegerField(default=0)

    hit_counter = Counter("hits", on_commit=True)


class Cart(CachedModel):
    """Drafted: saved often, with a value that the database may refuse."""

    owner = models.CharField(max_length=40, default="nobody")
    items = models.JSONField(default=dict)
    total = models.DecimalField(max_digits=9, decimal_places=2, default=0)
    seen_at = models.DateTimeField(null=True)

    cache_policy = CachePolicy(ttl=600)

    class Meta:
        constraints = (
            models.CheckConstraint(condition=models.Q(total__gte=0), name="no_cart_owes"),
        )


class Listing(CachedModel):
    """Drafted in columns by which it is looked up and listed."""

    slug = models.SlugField(unique=True)
    shelf = models.ForeignKey(Shelf, null=True, on_delete=models.SET_NULL)
    rank = models.IntegerField(default=0)

    cache_policy = CachePolicy(ttl=600, lookups=["slug", ("shelf", "rank")], indexes=["shelf"])

    class Meta:
        constraints = (models.UniqueConstraint(fields=["shelf", "rank"], name="rank_on_shelf"),)


class Player(CachedModel):
    """Ranked by a score that every player has, and by a time that some have."""

    name = models.CharField(max_length=40, default="")
    score = models.IntegerField(default=0)
    best_time = models.BigIntegerField(null=True)

    cache_policy = CachePolicy(ttl=600)


class Champion(Player):
    """Ranked with the players: it shares their table."""

    titles = models.IntegerField(default=0)

    cache_policy = CachePolicy(ttl=600)


class Word(models.Model):
    """Ranked and not cached, by a key that is a text."""

    text = models.CharField(primary_key=True, max_length=40)
    uses = models.PositiveIntegerField(null=True)


class Climber(models.Model):
    """Ranked by numbers whose defaults are the database's: a value, and what it computes."""

    height = models.IntegerField(db_default=10)
    depth = models.IntegerField(db_default=functions.Abs(-4))


class Track(models.Model):
    """Ranked by a key that is no integer."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    plays = models.BigIntegerField(null=True)


players = Leaderboard("players", model="testapp.Player", field="score")
fastest = Leaderboard("fastest", model=Player, field="best_time", order="asc")
words = Leaderboard("words", model=Word, field="uses")
tracks = Leaderboard("tracks", model=Track, field="plays")


class Portable(CachedModel):
    """A column of every kind that each database has."""

    small = models.SmallIntegerField(null=True)
    big = models.BigIntegerField(null=True)
    decimal = models.DecimalField(max_digits=12, decimal_places=3, null=True)
    floating = models.FloatField(null=True)
    boolean = models.BooleanField(null=True)
    char = models.CharField(max_length=100, null=True)
    text = models.TextField(null=True)
    date = models.DateField(null=True)
    time = models.TimeField(null=True)
    at = models.DateTimeField(null=True)
    duration = models.DurationField(null=True)
    uuid = models.UUIDField(null=True)
    json = models.JSONField(null=True)
    binary = models.BinaryField(null=True)
    ip = models.GenericIPAddressField(null=True)
    file = models.FileField(null=True)
    commas = Commas(null=True)
