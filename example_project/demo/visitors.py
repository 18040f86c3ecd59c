"""Visitors of the shop: they look around, search, fill their carts and buy, all over HTTP."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any

import django
import requests

from .load import Load
from .processes import is_over

TIMEOUT = 30.0
"""Seconds that a visitor waits for a page."""
LONGEST_VISIT = 12
"""Pages, after which a visitor leaves, and another comes with an empty cart."""


class Visitor:
    """One person with a browser.

    Args:
        address: the shop's.
        rng: what decides where it goes next.
        slugs: of products, the next one that it wants to see.
        words: what people search for.
    """

    def __init__(
        self, address: str, rng: random.Random, slugs: Iterator[str], words: list[str]
    ) -> None:
        self._address, self._rng, self._slugs, self._words = address, rng, slugs, words
        self._browser = requests.Session()

    def pages(self) -> Iterator[None]:
        """A visit, page by page."""
        self._get("/")
        yield
        for _ in range(self._rng.randint(2, LONGEST_VISIT)):
            (step,) = self._rng.choices((self._look, self._search, self._buy), weights=(7, 2, 1))
            step()
            yield
        self._browser.close()

    def _look(self) -> None:
        self._get(f"/product/{next(self._slugs)}/")

    def _search(self) -> None:
        self._get("/search/", q=self._rng.choice(self._words))

    def _buy(self) -> None:
        path = f"/product/{next(self._slugs)}/"
        self._get(path)
        if self._rng.random() < 0.5:
            self._post(f"{path}buy/")
        else:
            self._post(f"{path}cart/")
            self._get("/cart/")
            self._post("/cart/buy/")

    def _get(self, path: str, **query: str) -> None:
        self._browser.get(self._address + path, params=query, timeout=TIMEOUT).raise_for_status()

    def _post(self, path: str) -> None:
        token = self._browser.cookies.get("csrftoken", "")
        answer = self._browser.post(
            self._address + path, {"csrfmiddlewaretoken": token}, timeout=TIMEOUT
        )
        answer.raise_for_status()


def visit(index: int, load: Load, address: str, pace: float, stop: Any, report: Connection) -> None:
    """Visit the shop until told to stop.

    Args:
        pace: seconds between two pages.
    """
    django.setup()
    from example_project.shop.models import Product

    slugs = dict(Product.objects.order_by("pk").values_list("pk", "slug"))
    words = sorted({slug.split("-")[0] for slug in slugs.values()})
    picked = (slugs[pk] for pk in load.picks(list(slugs), f"visitor {index}"))
    rng = random.Random(f"visitor {index}")
    report.send("here")
    while not is_over(stop):
        try:
            for _ in Visitor(address, rng, picked, words).pages():
                stop.wait(rng.uniform(0.5, 1.5) * pace)
                if is_over(stop):
                    break
        except requests.RequestException as error:
            if not is_over(stop):
                print(f"A visitor saw an error: {error}", file=sys.stderr, flush=True)
                stop.wait(1)
