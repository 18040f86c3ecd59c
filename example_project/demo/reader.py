"""A process that reads products, as fast as it can."""

from __future__ import annotations

import random
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field

from django.db import connection

from django_cachepatterns import metrics
from example_project.shop.models import Product

from .load import Load
from .statements import Statements, counted_statements

BY_SLUG = 0.15  # the share of reads that come in by the slug, as a page's URL does
AT_ONCE = 500  # products in one query while the cache is warmed


@dataclass(slots=True)
class Reads:
    """What one reader saw. What it did only to check is in ``checked`` and ``stale`` alone."""

    latencies: array[float] = field(default_factory=lambda: array("d"))
    """Seconds, one for each read."""
    seconds: float = 0.0
    """How long it read, without the time that it spent on checks."""
    statements: int = 0
    loads: list[tuple[int, float, float]] = field(default_factory=list)
    """Reads that needed SQL: product, when the first statement began, when the last ended."""
    checked: int = 0
    stale: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    """The library's own counts."""


class Reader:
    """Reads, and now and then compares what it reads with what is committed."""

    def __init__(self, load: Load, index: int) -> None:
        name = f"reader {index}"
        self._load = load
        self._rng = random.Random(name)
        self._slugs = dict(Product.objects.order_by("pk").values_list("pk", "slug"))
        keys = list(self._slugs)
        self._picks = load.picks(keys, name)
        self._reads = Reads()
        if not load.cold:
            _read_once(keys[index :: load.readers])

    def run(self, stopped: Callable[[], bool]) -> Reads:
        """Read until the time is up."""
        reads, chance, check_share = self._reads, self._rng.random, self._load.check_share
        checking = 0.0
        before = metrics.snapshot()
        with counted_statements() as statements:
            began = time.perf_counter()
            ends = began + self._load.seconds
            while (now := time.perf_counter()) < ends and not stopped():
                pk = next(self._picks)
                if chance() < check_share:
                    self._check(pk)
                    checking += time.perf_counter() - now
                else:
                    self._timed_read(pk, statements)
            reads.seconds = time.perf_counter() - began - checking
        after = metrics.snapshot()
        reads.outcomes = {name: after[name] - before.get(name, 0) for name in after}
        return reads

    def _read(self, pk: int) -> Product:
        if self._rng.random() < BY_SLUG:
            return Product.objects.get(slug=self._slugs[pk])
        return Product.objects.get(pk=pk)

    def _timed_read(self, pk: int, statements: Statements) -> None:
        before = statements.mark()
        began = time.perf_counter()
        self._read(pk)
        self._reads.latencies.append(time.perf_counter() - began)
        if executed := statements.count - before:
            self._reads.statements += executed
            self._reads.loads.append((pk, statements.began, statements.ended))

    def _check(self, pk: int) -> None:
        """Sales only ever grow: fewer than were committed before the read began is a stale read."""
        committed = _committed_sales(pk)
        self._reads.stale += self._read(pk).sold < committed
        self._reads.checked += 1


def _read_once(keys: list[int]) -> None:
    for start in range(0, len(keys), AT_ONCE):
        Product.objects.in_bulk(keys[start : start + AT_ONCE])


def _committed_sales(pk: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT sold FROM shop_product WHERE id = %s", [pk])
        return int(cursor.fetchone()[0])
