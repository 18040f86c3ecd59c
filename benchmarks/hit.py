"""One row that is in the cache, against redis-py's bare GET of the same bytes."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

from .placement import placements
from .rounds import Contender, Section, compare
from .session import main
from .tables import Table, ratios

READS = 100
ROUNDS = 400


def table(reports: Sequence[list[dict[str, Any]]]) -> Table:
    """What is printed."""
    return ratios(
        f"hit: one row of 12 columns by its key, {READS} reads a round, keys rotated over 1,000 "
        "rows;\nratios to redis-py's bare GET of the same entry, in the same process and round",
        reports,
    )


def measure(process: str, rounds: int) -> Iterable[Section]:
    """The part of the benchmark that belongs to a process."""
    from .reads import KEYS, bare_client, entry_keys, fill_entries

    size = fill_entries()
    client = bare_client()
    names = entry_keys(KEYS)

    def bare(batch: slice) -> None:
        for name in names[batch]:
            client.get(name)

    contenders = [Contender(f"redis-py: get(key), {size:,} bytes", bare, _batch)]
    contenders += {"cachepatterns": _own, "cacheops": _cacheops, "cachalot": _cachalot}[process]()
    _check(process)
    for placement in placements():
        yield compare(placement, process, contenders, rounds=rounds, operations=READS)
    _check(process)


def _batch(number: int) -> slice:
    start = number * READS % 1000
    return slice(start, start + READS)


def _own() -> list[Contender]:
    from django.core.cache import cache

    from .app.models import CachedItem, PlainItem
    from .reads import KEYS, fill_django_redis, kept
    from .rows import values

    pks = list(KEYS)
    slugs = [values(pk)["slug"] for pk in pks]
    kept_as = [kept(pk) for pk in pks]
    fill_django_redis()

    def by_key(batch: slice) -> None:
        for pk in pks[batch]:
            CachedItem.objects.get(pk=pk)

    def by_lookup(batch: slice) -> None:
        for slug in slugs[batch]:
            CachedItem.objects.get(slug=slug)

    def get_or_set(batch: slice) -> None:
        for pk, name in zip(pks[batch], kept_as[batch], strict=True):
            cache.get_or_set(name, lambda pk=pk: PlainItem.objects.get(pk=pk), 3600)

    def plain(batch: slice) -> None:
        for pk in pks[batch]:
            PlainItem.objects.get(pk=pk)

    return [
        Contender("cachepatterns: get(pk=)", by_key, _batch, bar=0.9),
        Contender("cachepatterns: get(slug=)", by_lookup, _batch),
        Contender("django-redis: get_or_set(), pickle", get_or_set, _batch),
        Contender("Django: get(pk=), PostgreSQL", plain, _batch),
    ]


def _cacheops() -> list[Contender]:
    from .app.models import CacheopsItem
    from .reads import KEYS

    pks = list(KEYS)

    def by_key(batch: slice) -> None:
        for pk in pks[batch]:
            CacheopsItem.objects.get(pk=pk)

    return [Contender("cacheops: get(pk=)", by_key, _batch)]


def _cachalot() -> list[Contender]:
    from .app.models import CachalotItem
    from .reads import KEYS

    pks = list(KEYS)

    def by_key(batch: slice) -> None:
        for pk in pks[batch]:
            CachalotItem.objects.get(pk=pk)

    return [Contender("cachalot: get(pk=)", by_key, _batch)]


def _check(process: str) -> None:
    """See that all contenders' reads are hits, and right."""
    from .reads import KEYS, check_hits

    pks = KEYS[:50]
    for name, read in _checks(process).items():
        check_hits(name, lambda read=read: [read(pk) for pk in pks], pks)


def _checks(process: str) -> dict[str, Any]:
    """One read of each contender that should be a hit."""
    from django.core.cache import cache

    from .app.models import CachalotItem, CachedItem, CacheopsItem
    from .reads import kept
    from .rows import values

    if process == "cacheops":
        return {"cacheops": lambda pk: CacheopsItem.objects.get(pk=pk)}
    if process == "cachalot":
        return {"cachalot": lambda pk: CachalotItem.objects.get(pk=pk)}
    return {
        "get(pk=)": lambda pk: CachedItem.objects.get(pk=pk),
        "get(slug=)": lambda pk: CachedItem.objects.get(slug=values(pk)["slug"]),
        "get_or_set()": lambda pk: cache.get(kept(pk)),
    }


if __name__ == "__main__":
    sys.exit(main(["hit"]))
