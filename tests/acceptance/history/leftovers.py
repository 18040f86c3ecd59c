"""What is left in the cache when all is quiet, compared with the database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.models import Model, QuerySet
from django_redis import get_redis_connection

from django_cachepatterns import entry, keys
from django_cachepatterns.orm.lookups import Lookup
from django_cachepatterns.orm.rows import CachedRows, rows_of
from django_cachepatterns.reader import is_mark
from django_cachepatterns.stampede.lease import is_lease

from .tally import Tally


def compare(*models: Any) -> Tally:
    """Decode every entry of some models and compare it with the database.

    Counts `entries` by what they are. A fault is a `disagreement`: a value or an absence that a
    reader would believe and that the database does not say. A pointer that leads astray is
    none, because readers check where it leads; it is counted. So are results of queries, which
    are asked for again by `checker`.
    """
    tally = Tally()
    for model in models:
        rows = rows_of(model)
        assert rows is not None
        rows.store.get(rows.family)  # connects, and so learns the server's epoch
        for key, data in _entries(rows):
            tally.count("entries")
            _compare(rows, key, data, tally)
    return tally


def _entries(rows: CachedRows) -> Iterator[tuple[bytes, bytes]]:
    client = get_redis_connection("default")
    for key in sorted(client.scan_iter(rows.family + b"*", count=1000)):
        if key.endswith((b"~waiting", b"~wake")):
            continue  # Notes of those who waited, which lapse by themselves.
        data = client.get(key)
        if data is not None:
            yield key, data


def _compare(rows: CachedRows, key: bytes, data: bytes, tally: Tally) -> None:
    parts = entry.unpack(data)
    if parts is None:
        _name(key, data, tally)
    elif parts[0].epoch != rows.store.epoch:
        tally.fault("disagreement", f"{key!r} is of epoch {parts[0].epoch.hex()}")
    elif key.startswith(keys.query(rows.family, "")):
        tally.count("results")
    elif lookup := _lookup_of(rows, parts[0].fingerprint):
        _compare_pointer(rows, lookup, key, parts, tally)
    elif parts[0].fingerprint == rows.fingerprint:
        _compare_row(rows, key, parts, tally)
    else:
        tally.fault("disagreement", f"{key!r} has another fingerprint")


def _name(key: bytes, data: bytes, tally: Tally) -> None:
    if is_mark(data):
        tally.fault("marks left", f"{key!r} {data!r}")
    elif is_lease(data):
        tally.fault("leases left", f"{key!r} {data!r}")
    elif data[:1] == entry.TAG:
        tally.count("tags")
    else:
        tally.fault("disagreement", f"{key!r} is no entry: {data!r}")


def _compare_row(
    rows: CachedRows, key: bytes, parts: tuple[entry.Header, bytes], tally: Tally
) -> None:
    header, payload = parts
    pk = key.removeprefix(rows.family).decode()
    stored = [_columns(row) for row in QuerySet(rows.model, using=rows.alias).filter(pk=pk)]
    if header.state == entry.VALUE and not _stands(rows, header):
        tally.count("values of old versions")
    elif header.state == entry.VALUE:
        tally.count("values")
        (instance,) = rows.shape.instances((rows.decode(payload),), rows.alias)
        cached = _columns(instance)
        if [cached] != stored:
            tally.fault("disagreement", f"{key!r} says {cached}, the database {stored}")
    elif _stands(rows, header):
        tally.count("absences")
        if stored:
            tally.fault("disagreement", f"{key!r} says no such row, the database {stored}")


def _compare_pointer(
    rows: CachedRows,
    lookup: Lookup,
    key: bytes,
    parts: tuple[entry.Header, bytes],
    tally: Tally,
) -> None:
    header, payload = parts
    (name,) = lookup.attnames
    value = key.removeprefix(keys.lookup(rows.family, [name], [""])).decode()
    stored = list(
        QuerySet(rows.model, using=rows.alias).filter(**{name: value}).values_list("pk", flat=True)
    )
    if header.state == entry.VALUE:
        tally.count("pointers")
        if [lookup.decode(payload)] != stored:
            tally.count("pointers astray")
    elif _stands(rows, header):
        tally.count("absences")
        if stored:
            tally.fault("disagreement", f"{key!r} says no such row, the database {stored}")


def _stands(rows: CachedRows, header: entry.Header) -> bool:
    """Whether a reader would believe an entry: the tags that it depends on are as they were."""
    names = list(rows.version_tags)
    if header.state == entry.NEGATIVE:
        names.insert(0, rows.tag or keys.absences(rows.family))
    return rows.store.get_many(names) == [entry.tag(each) for each in header.versions]


def _columns(instance: Model) -> dict[str, Any]:
    names = [field.attname for field in instance._meta.concrete_fields]
    return {name: getattr(instance, name) for name in names}


def _lookup_of(rows: CachedRows, fingerprint: bytes) -> Lookup | None:
    found = (each for each in rows.lookups.values() if each.fingerprint == fingerprint)
    return next(found, None)
