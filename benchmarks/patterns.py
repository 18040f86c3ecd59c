"""The patterns beside each other: what a read, a first read, a write and a read after it cost.

Each is compared with the same on plain models, in the same rounds; and of each the SQL statements
and the messages to the cache are counted.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

from .rounds import Contender, Measured, compare
from .session import main
from .tables import Table

PROCESSES = ("cachepatterns",)
ROUNDS = 100
COUNTS = 3
"""How often each operation is counted. The counts must be equal."""

KEYS = 400
"""The primary keys that are read, in turn, are up to this one."""

LENGTH = 20
"""Rows of a list."""

TTL = 3600


@dataclass(frozen=True)
class Way:
    """One way to have something.

    Args:
        name: as it is printed.
        read: takes a key.
        write: takes a key, and writes what a read of that key depends on.
        forget: takes keys, and removes what the cache has of them.
        model: whose table it is in.
    """

    name: str
    read: Callable[[int], Any]
    write: Callable[[int], object]
    forget: Callable[[Sequence[int]], object]
    model: Any


@dataclass(frozen=True)
class Thing:
    """What is read and written, in several ways; the first is plain Django's.

    Args:
        name: as it is printed.
        batch: how many are read or written in a round.
        ways: the baseline, and the others.
    """

    name: str
    batch: int
    ways: Sequence[Way]


@dataclass(frozen=True)
class Count:
    """What one operation takes: SQL statements, and messages to the cache."""

    sql: int
    messages: int


@dataclass(frozen=True)
class Comparison:
    """One operation on one thing."""

    title: str
    measured: list[Measured]
    counts: list[Count]


def table(reports: Sequence[list[dict[str, Any]]]) -> Table:
    """What is printed."""
    lines: list[Sequence[str]] = [
        ("", "ratio", "10th..90th", "median, us", "SQL", "messages to the cache")
    ]
    for each in chain.from_iterable(reports):
        lines += [(), (each["title"],)]
        lines += map(_line, each["measured"], each["counts"])
    return Table(
        "patterns: each operation in the patterns, but write-behind, which has tables of its own;\n"
        "ratios to the same on a plain model, in the same process and round",
        lines,
    )


def _line(measured: dict[str, Any], count: dict[str, int]) -> Sequence[str]:
    ratio = measured["ratio"]
    return (
        f"  {measured['name']}",
        "1" if ratio is None else f"{ratio:.2f}",
        "" if ratio is None else f"{measured['low']:.2f}..{measured['high']:.2f}",
        f"{measured['time']:,.1f}",
        str(count["sql"]),
        str(count["messages"]),
    )


def measure(process: str, rounds: int) -> Iterable[Comparison]:
    """The part of the benchmark that belongs to a process."""
    things = [_row(), _value(), _list(), _count()]
    for thing in things:
        _check(thing)
    for name, prepare, run in OPERATIONS:
        for thing in things:
            counts = [_counted(way, prepare, run) for way in thing.ways]
            section = compare(
                f"{thing.name}: {name}",
                process,
                [_contender(thing, way, prepare, run) for way in thing.ways],
                rounds=rounds,
                operations=thing.batch,
            )
            yield Comparison(section.title, section.measured, counts)


# What is read


def _row() -> Thing:
    from .app.models import CachedItem, PlainItem, WrittenItem

    def way(name: str, model: Any) -> Way:
        held = {each.pk: each for each in _all(model)}

        def write(pk: int) -> None:
            held[pk].quantity += 1
            held[pk].save()

        return Way(name, lambda pk: model.objects.get(pk=pk), write, _row_entries(model), model)

    return Thing(
        "a row of 12 columns, get(pk=)",
        20,
        (
            way("Django", PlainItem),
            way("read-through", CachedItem),
            way("write-through", WrittenItem),
        ),
    )


def _value() -> Thing:
    from django_cachepatterns import WriteThrough, cache_aside

    from .app.models import CachedItem, PlainItem, StoredItem

    def load(model: Any, pk: int) -> dict[str, Any]:
        return dict(model.objects.filter(pk=pk).values().get())

    def save(model: Any, pk: int, columns: dict[str, Any]) -> None:
        model(**columns).save(force_update=True)

    def way(name: str, model: Any, read: Any, write: Any, forget: Any) -> Way:
        held = {each["id"]: each for each in _all(model).values()}

        def change(pk: int) -> None:
            held[pk]["quantity"] += 1
            write(pk, held[pk])

        return Way(name, read, change, forget, model)

    def function(pk: int) -> dict[str, Any]:
        return load(CachedItem, pk)

    cached = cache_aside(key="item:{pk}", ttl=TTL, depends_on=[CachedItem])(function)
    stored = WriteThrough(
        "item", load=partial(load, StoredItem), write=partial(save, StoredItem), ttl=TTL
    )
    return Thing(
        "a dict of 12 columns",
        20,
        (
            way(
                "Django: a function",
                PlainItem,
                partial(load, PlainItem),
                partial(save, PlainItem),
                _nothing,
            ),
            way(
                "cache-aside: @cache_aside(depends_on=...)",
                CachedItem,
                cached,
                partial(save, CachedItem),
                lambda pks: [cached.invalidate(pk) for pk in pks],
            ),
            way(
                "write-through: WriteThrough()",
                StoredItem,
                stored.get,
                stored.set,
                stored.invalidate_many,
            ),
        ),
    )


def _list() -> Thing:
    from .app.models import CachedItem, IndexedItem, PlainItem

    def rows(queryset: Any) -> Any:
        return list(queryset.order_by("pk")[:LENGTH])

    return Thing(
        f"a list of {LENGTH} rows, found by their keys",
        5,
        (
            _query("Django: filter(...)[:20]", PlainItem, rows),
            _query("cache-aside: .cache()", CachedItem, lambda each: rows(each.cache(ttl=TTL))),
            _query(
                "cache-aside: .cache(), the policy has indexes=[...]",
                IndexedItem,
                lambda each: rows(each.cache(ttl=TTL)),
            ),
        ),
    )


def _count() -> Thing:
    from .app.models import CachedItem, PlainItem

    return Thing(
        "a count of 9,000 rows",
        5,
        (
            _query("Django: count()", PlainItem, lambda each: each.count()),
            _query("cache-aside: .cache()", CachedItem, lambda each: each.cache(ttl=TTL).count()),
        ),
    )


def _query(name: str, model: Any, result: Callable[[Any], Any]) -> Way:
    """A query of rows from a key on, and a write to the first of them."""
    held = {each.pk: each for each in _all(model)}

    def read(pk: int) -> Any:
        return result(model.objects.filter(active=True, pk__gte=pk))

    def write(pk: int) -> None:
        held[pk].quantity += 1
        held[pk].save()

    return Way(name, read, write, _list_entries(model), model)


def _keys() -> list[int]:
    """The keys that are read: those of rows that are active, as the rows of the lists are."""
    from .rows import values

    return [pk for pk in range(1, KEYS + 1) if values(pk)["active"]]


def _all(model: Any) -> Any:
    queryset = model.objects.filter(pk__lte=KEYS)
    return queryset.nocache() if hasattr(queryset, "nocache") else queryset


def _nothing(pks: Sequence[int]) -> None:
    return None


def _row_entries(model: Any) -> Callable[[Sequence[int]], object]:
    """What removes the entries of rows."""
    from django.conf import settings

    from .reads import bare_client

    client = bare_client()
    prefix = f"{settings.PREFIX}:{model._meta.label_lower}:"
    return lambda pks: client.delete(*[f"{prefix}{pk}" for pk in pks])


def _list_entries(model: Any) -> Callable[[Sequence[int]], object]:
    """What removes the entries of lists, and those of their rows."""
    from django.conf import settings

    from .reads import bare_client

    client = bare_client()
    rows = _row_entries(model)

    def forget(pks: Sequence[int]) -> None:
        rows([pk + more for pk in pks for more in range(2 * LENGTH)])
        pattern = f"{settings.PREFIX}:{model._meta.label_lower}:~q:*"
        for key in client.scan_iter(pattern, count=5000):
            client.delete(key)

    return forget


# What is done with it


def _hits(way: Way, pks: Sequence[int]) -> None:
    for pk in pks:
        way.read(pk)


def _missing(way: Way, pks: Sequence[int]) -> None:
    _hits(way, pks)
    way.forget(pks)


def _vacuumed_hits(way: Way, pks: Sequence[int]) -> None:
    from .rows import vacuum

    vacuum(way.model)
    _hits(way, pks)


def _written(way: Way, pks: Sequence[int]) -> None:
    _vacuumed_hits(way, pks)
    _write(way, pks)


def _read(way: Way, pks: Sequence[int]) -> None:
    for pk in pks:
        way.read(pk)


def _write(way: Way, pks: Sequence[int]) -> None:
    for pk in pks:
        way.write(pk)


Step = Callable[[Way, Sequence[int]], None]

OPERATIONS: tuple[tuple[str, Step, Step], ...] = (
    ("read, in the cache", _hits, _read),
    ("read, not in the cache: loaded and stored", _missing, _read),
    ("save(), what it changes being in the cache", _vacuumed_hits, _write),
    ("read, right after that save()", _written, _read),
)
"""What has to be so before, and what is timed."""


def _contender(thing: Thing, way: Way, prepare: Step, run: Step) -> Contender:
    from .commands import settle

    keys = _keys()

    def prepared(number: int) -> Sequence[int]:
        turns = range(number * thing.batch, (number + 1) * thing.batch)
        pks = [keys[turn * 37 % len(keys)] for turn in turns]
        prepare(way, pks)
        settle()
        return pks

    return Contender(way.name, partial(run, way), prepared)


def _counted(way: Way, prepare: Step, run: Step) -> Count:
    from .commands import settle

    counts = []
    for pk in _keys()[:COUNTS]:
        prepare(way, [pk])
        settle()
        with _messages() as sent, _statements() as asked:
            run(way, [pk])
        counts.append(Count(len(asked), len(sent)))
    if any(count != counts[0] for count in counts):
        raise RuntimeError(f"{way.name}: the counts differ: {counts}")
    return counts[0]


@contextmanager
def _messages() -> Iterator[list[str]]:
    """What is sent to the cache in a block: several commands at once are one message."""
    from unittest.mock import patch

    from django_cachepatterns.stores.channel import Channel

    sent: list[str] = []

    def counted(name: str) -> Any:
        method = getattr(Channel, name)

        def send(channel: Channel, *arguments: Any) -> Any:
            sent.append(name)
            return method(channel, *arguments)

        return patch.object(Channel, name, send)

    with counted("call"), counted("call_many"), counted("post"):
        yield sent


@contextmanager
def _statements() -> Iterator[Any]:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as asked:
        yield asked


def _check(thing: Thing) -> None:
    """Raise `RuntimeError` unless all ways give the same, and all but the first without SQL."""
    plain, *others = thing.ways
    for way in others:
        for pk in _keys()[::100]:
            way.read(pk)
            with _statements() as asked:
                found = way.read(pk)
            if len(asked):
                raise RuntimeError(f"{way.name}: not a hit: {asked.captured_queries[0]['sql']}")
            if _columns(found) != _columns(plain.read(pk)):
                raise RuntimeError(f"{way.name}: other values than those of the database")


def _columns(found: Any) -> Any:
    from .rows import columns_of

    if isinstance(found, dict | int):
        return found
    return columns_of(found if isinstance(found, list) else [found])


if __name__ == "__main__":
    sys.exit(main(["patterns"]))
