"""A process that changes products, at a given pace."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from django.db import transaction
from django.db.models import F

from example_project.shop.models import Product

from .load import Load

AT_ONCE = 10  # products in one bulk update


@dataclass(slots=True)
class Writes:
    """What one writer did."""

    committed: int = 0
    rolled_back: int = 0


class _Regret(Exception):
    """Rolls a transaction back."""


class Writer:
    """Sells products in all the ways that Django has for changing a row."""

    def __init__(self, load: Load, index: int) -> None:
        name = f"writer {index}"
        self._load = load
        self._rng = random.Random(name)
        keys = list(Product.objects.order_by("pk").values_list("pk", flat=True))
        self._picks = load.picks(keys, name)
        self._writes = Writes()

    def run(self, stopped: Callable[[], bool]) -> Writes:
        """Write at the agreed pace until the time is up."""
        began = time.perf_counter()
        pace = self._load.writers / self._load.writes_per_second
        for number in itertools.count():
            due = number * pace
            if due >= self._load.seconds or stopped():
                break
            time.sleep(max(0.0, began + due - time.perf_counter()))
            self._write()
        return self._writes

    def _write(self) -> None:
        ways = (self._update, self._save, self._update_many, self._regret)
        (way,) = self._rng.choices(ways, weights=(5, 3, 1, 1))
        way()

    def _update(self) -> None:
        Product.objects.filter(pk=next(self._picks)).update(sold=F("sold") + 1)
        self._writes.committed += 1

    def _save(self) -> None:
        with transaction.atomic():
            product = Product.objects.select_for_update().get(pk=next(self._picks))
            product.sold += 1
            product.save()
        self._writes.committed += 1

    def _update_many(self) -> None:
        keys = {next(self._picks) for _ in range(AT_ONCE)}
        with transaction.atomic():
            # Locked in one order, or two writers of the same products would wait for each other.
            list(Product.objects.select_for_update().filter(pk__in=keys).order_by("pk"))
            Product.objects.filter(pk__in=keys).update(sold=F("sold") + 1)
        self._writes.committed += 1

    def _regret(self) -> None:
        try:
            with transaction.atomic():
                Product.objects.filter(pk=next(self._picks)).update(sold=F("sold") + 1000)
                raise _Regret
        except _Regret:
            self._writes.rolled_back += 1
