"""Fifty rows that are in the cache, against redis-py's bare MGET of the same bytes."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

from .placement import placements
from .rounds import Contender, Section, compare
from .session import main
from .tables import Table, ratios

PAGE = 50
PAGES = 5
ROUNDS = 300


def table(reports: Sequence[list[dict[str, Any]]]) -> Table:
    """What is printed."""
    return ratios(
        f"page: {PAGE} rows of 12 columns by their keys, {PAGES} pages a round, from 1,000 rows;\n"
        "ratios to redis-py's bare MGET of the same entries, in the same process and round",
        reports,
    )


def measure(process: str, rounds: int) -> Iterable[Section]:
    """The part of the benchmark that belongs to a process."""
    from .reads import KEYS, bare_client, entry_keys, fill_entries

    fill_entries()
    client = bare_client()
    pages = _pages(KEYS)
    names = [entry_keys(page) for page in pages]

    def bare(batch: slice) -> None:
        for page in names[batch]:
            client.mget(page)

    contenders = [Contender(f"redis-py: mget() of {PAGE}", bare, _batch)]
    contenders += {"cachepatterns": _own, "cacheops": _cacheops, "cachalot": _cachalot}[process](
        pages
    )
    _check(process)
    for placement in placements():
        yield compare(placement, process, contenders, rounds=rounds, operations=PAGES)
    _check(process)


def _batch(number: int) -> slice:
    start = number * PAGES % (PAGES * 4)
    return slice(start, start + PAGES)


def _pages(keys: Sequence[int]) -> list[list[int]]:
    random = Random(7)
    return [sorted(random.sample(keys, PAGE)) for _ in range(PAGES * 4)]


def _own(pages: Sequence[list[int]]) -> list[Contender]:
    from django.core.cache import cache

    from .app.models import CachedItem, PlainItem
    from .reads import fill_django_redis, kept

    fill_django_redis()
    kept_as = [[kept(pk) for pk in page] for page in pages]

    def filtered(batch: slice) -> None:
        for page in pages[batch]:
            list(CachedItem.objects.filter(pk__in=page))

    def in_bulk(batch: slice) -> None:
        for page in pages[batch]:
            CachedItem.objects.in_bulk(page)

    def get_many(batch: slice) -> None:
        for page in kept_as[batch]:
            cache.get_many(page)

    def plain(batch: slice) -> None:
        for page in pages[batch]:
            list(PlainItem.objects.filter(pk__in=page))

    return [
        Contender("cachepatterns: filter(pk__in=)", filtered, _batch, bar=2.0),
        Contender("cachepatterns: in_bulk()", in_bulk, _batch),
        Contender("django-redis: get_many(), pickle", get_many, _batch),
        Contender("Django: filter(pk__in=), PostgreSQL", plain, _batch),
    ]


def _cacheops(pages: Sequence[list[int]]) -> list[Contender]:
    from .app.models import CacheopsItem

    def filtered(batch: slice) -> None:
        for page in pages[batch]:
            list(CacheopsItem.objects.filter(pk__in=page))

    return [Contender("cacheops: filter(pk__in=), whole pages kept", filtered, _batch)]


def _cachalot(pages: Sequence[list[int]]) -> list[Contender]:
    from .app.models import CachalotItem

    def filtered(batch: slice) -> None:
        for page in pages[batch]:
            list(CachalotItem.objects.filter(pk__in=page))

    return [Contender("cachalot: filter(pk__in=), whole pages kept", filtered, _batch)]


def _check(process: str) -> None:
    """See that all contenders' reads are hits, and right."""
    from .reads import KEYS, check_hits

    page = _pages(KEYS)[0]
    for name, read in _checks(process).items():
        check_hits(name, lambda read=read: read(page), page)


def _checks(process: str) -> dict[str, Any]:
    """One read of each contender that should be a hit, in the order of the keys."""
    from django.core.cache import cache

    from .app.models import CachalotItem, CachedItem, CacheopsItem
    from .reads import kept

    def by_key(model: Any) -> Any:
        return lambda page: sorted(model.objects.filter(pk__in=page), key=lambda each: each.pk)

    if process == "cacheops":
        return {"cacheops": by_key(CacheopsItem)}
    if process == "cachalot":
        return {"cachalot": by_key(CachalotItem)}
    return {
        "filter(pk__in=)": by_key(CachedItem),
        "in_bulk()": lambda page: [CachedItem.objects.in_bulk(page)[pk] for pk in page],
        "get_many()": lambda page: list(cache.get_many([kept(pk) for pk in page]).values()),
    }


if __name__ == "__main__":
    sys.exit(main(["page"]))
