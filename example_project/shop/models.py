"""A shop: categories of products that people review."""

from __future__ import annotations

from uuid import uuid4

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.urls import reverse

from django_cachepatterns import CachePolicy
from django_cachepatterns.models import CachedModel
from django_cachepatterns.write_behind import Counter, Leaderboard


class Category(CachedModel):
    name = models.CharField(max_length=80)
    slug = models.SlugField(max_length=80, unique=True)

    cache_policy = CachePolicy(pattern="read_through", ttl=3600, lookups=["slug"])

    class Meta:
        ordering = ("name",)
        verbose_name_plural = "categories"

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("shop:category", args=[self.slug])


class Product(CachedModel):
    """About a kilobyte in a row, with most of the kinds of columns that a shop has."""

    category = models.ForeignKey(Category, on_delete=models.PROTECT, related_name="products")
    sku = models.CharField(max_length=32)
    slug = models.SlugField(max_length=140, unique=True)
    name = models.CharField(max_length=120)
    description = models.TextField()
    price = models.DecimalField(max_digits=10, decimal_places=2)
    attributes = models.JSONField(default=dict)
    released = models.DateField()
    weight = models.FloatField(help_text="in kilograms")
    active = models.BooleanField(default=True)
    uuid = models.UUIDField(default=uuid4, editable=False)
    sold = models.PositiveBigIntegerField(default=0)
    views = models.PositiveBigIntegerField(default=0, editable=False)
    created = models.DateTimeField(auto_now_add=True)

    cache_policy = CachePolicy(
        pattern="read_through",
        ttl=3600,
        lookups=["slug", ("category", "sku")],
        indexes=["category"],
    )
    # A flush ends the cached lists of the categories whose products were seen: once a minute.
    view_counter = Counter("views", flush_every=60)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["category", "sku"], name="product_sku_in_category"),
        )

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("shop:product", args=[self.slug])


best_sellers = Leaderboard("best-sellers", model=Product, field="sold")


class Review(CachedModel):
    product = models.ForeignKey(Product, on_delete=models.CASCADE, related_name="reviews")
    author = models.CharField(max_length=80)
    rating = models.PositiveSmallIntegerField(
        validators=[MinValueValidator(1), MaxValueValidator(5)]
    )
    body = models.TextField()
    created = models.DateTimeField(auto_now_add=True)

    cache_policy = CachePolicy(pattern="read_through", ttl=3600, indexes=["product"])

    class Meta:
        ordering = ("-created", "-pk")

    def __str__(self) -> str:
        return f"{self.author} on {self.product}"
