"""The cart, which lives in the visitor's session."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from django.contrib.sessions.backends.base import SessionBase

from .models import Product

KEY = "cart"


class Line(NamedTuple):
    """A product in a cart, and how many of it."""

    product: Product
    number: int

    @property
    def price(self) -> Decimal:
        """Of all of them."""
        return self.product.price * self.number


def add(session: SessionBase, product: Product) -> None:
    """Put one more of a product into the cart."""
    numbers = dict(session.get(KEY, {}))
    key = str(product.pk)  # Sessions are JSON, whose keys are texts.
    session[KEY] = {**numbers, key: numbers.get(key, 0) + 1}


def lines(session: SessionBase) -> list[Line]:
    """What is in the cart, at today's prices: one round trip to the cache."""
    numbers = {int(key): number for key, number in session.get(KEY, {}).items()}
    products = Product.objects.in_bulk(list(numbers))
    return [Line(products[pk], number) for pk, number in numbers.items() if pk in products]


def empty(session: SessionBase) -> None:
    """Take everything out."""
    session.pop(KEY, None)
