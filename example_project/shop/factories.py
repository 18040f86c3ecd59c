"""Made-up shops of any size."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from decimal import Decimal
from itertools import cycle
from uuid import UUID

import factory
from django.utils.text import slugify
from factory.random import randgen

from .models import Category, Product, Review

# Faker's text takes a millisecond a product. Ten thousand products should take a second or two.
_WORDS = (
    "amber balanced bright canvas carbon classic compact cotton durable elegant everyday feather "
    "folding graphite handmade heavy honest leather light linen lively marble matte modern natural "
    "oak open orange pocket polished quiet rugged silent simple slate soft solid steady travel "
    "velvet warm waterproof wide winter wooden woven"
).split()
_THINGS = "backpack bench blanket bottle chair clock jacket kettle lamp mug pan scarf shoe".split()
_FIRST_RELEASE = dt.date(2015, 1, 1)


def _words(length: int) -> str:
    """Words of about ``length`` characters in all."""
    return " ".join(randgen.choices(_WORDS, k=length // 7)).capitalize() + "."


def _plural(thing: str) -> str:
    return f"{thing}es" if thing.endswith("ch") else f"{thing}s"


class CategoryFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Category

    name = factory.Sequence(lambda n: f"{_plural(_THINGS[n % len(_THINGS)]).capitalize()} {n}")
    slug = factory.LazyAttribute(lambda category: slugify(category.name))


class ProductFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Product

    category = factory.SubFactory(CategoryFactory)
    sku = factory.Sequence(lambda n: f"SKU-{n:08d}")
    name = factory.LazyFunction(
        lambda: f"{' '.join(randgen.choices(_WORDS, k=3)).capitalize()} {randgen.choice(_THINGS)}"
    )
    slug = factory.LazyAttributeSequence(lambda product, n: f"{slugify(product.name)}-{n}")
    description = factory.LazyFunction(lambda: _words(700))
    price = factory.LazyFunction(lambda: Decimal(randgen.randint(99, 99_999)).scaleb(-2))
    attributes = factory.LazyFunction(
        lambda: {
            "colour": randgen.choice(_WORDS),
            "sizes": randgen.sample(range(30, 50), 4),
            "organic": randgen.random() < 0.5,
            "origin": {"country": "PT", "batch": randgen.randint(1, 10_000)},
        }
    )
    released = factory.LazyFunction(
        lambda: _FIRST_RELEASE + dt.timedelta(days=randgen.randint(0, 4000))
    )
    weight = factory.LazyFunction(lambda: randgen.uniform(0.05, 30.0))
    uuid = factory.LazyFunction(lambda: UUID(int=randgen.getrandbits(128), version=4))


class ReviewFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Review

    product = factory.SubFactory(ProductFactory)
    author = factory.Sequence(lambda n: f"Reader {n}")
    rating = factory.LazyFunction(lambda: randgen.randint(1, 5))
    body = factory.LazyFunction(lambda: _words(200))


def create_products(count: int, categories: Iterable[Category]) -> list[Product]:
    """Many products at once, spread evenly over the categories."""
    products = ProductFactory.build_batch(count, category=factory.Iterator(cycle(categories)))
    return Product.objects.bulk_create(products, batch_size=1000)


def create_shop(products: int = 1000, categories: int = 20) -> list[Product]:
    """A whole shop: categories, products, and a review for every tenth product."""
    made = create_products(products, CategoryFactory.create_batch(categories))
    Review.objects.bulk_create(ReviewFactory.build(product=product) for product in made[::10])
    return made
