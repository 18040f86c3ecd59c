"""Chunks of rows: their primary keys, found before the rows are read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, Protocol

from django.db.models import QuerySet

from ..orm.rows import CachedRows

MOST = 1000
"""Rows of a chunk: few enough for one script not to hold the server up."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some rows.

    Args:
        found: for each, its primary key and the values of the lookups' columns, as the driver gave
            them.
        filters: select these rows, and hardly any others.
        last: the primary key of the last one, as the ORM takes it; `None` where they have no order.
    """

    found: Sequence[Sequence[Any]]
    filters: dict[str, Any]
    last: Any = None


class Walk(Protocol):
    """Gives one chunk after the other."""

    def take(self, size: int) -> Chunk | None:
        """The next rows, at most so many; `None` when there are no more."""


class ByKey:
    """All rows of a model, or of a queryset without an order, by their primary keys.

    Each step is a query of its own: no cursor and no transaction stays open, and a run that was
    interrupted goes on behind any key.

    Args:
        rows: the model's.
        queryset: those of it that are wanted; `None`: all.
        after: the primary key to begin behind.
    """

    def __init__(self, rows: CachedRows, queryset: QuerySet[Any] | None, after: Any = None) -> None:
        self._rows, self._after = rows, after
        chosen: Any = QuerySet(rows.model) if queryset is None else queryset
        self._queryset = chosen.using(rows.alias).order_by("pk").values_list(*columns(rows))

    def take(self, size: int) -> Chunk | None:
        """See `Walk`."""
        after = self._after
        queryset: QuerySet[Any, Any] = self._queryset
        if after is not None:
            queryset = queryset.filter(pk__gt=after)
        found = driver_rows(queryset[:size])
        if not found:
            return None
        rows = self._rows
        first, last = (
            rows.shape.value({rows.pk.attname: found[at][0]}, rows.pk.attname) for at in (0, -1)
        )
        self._after = last
        return Chunk(found, {"pk__gte": first, "pk__lte": last}, last)


class Listed:
    """Rows by a list of primary keys, as the ORM takes them, in its order."""

    def __init__(self, rows: CachedRows, pks: Iterable[Any]) -> None:
        self._rows, self._pks = rows, iter(pks)

    def take(self, size: int) -> Chunk | None:
        """See `Walk`."""
        rows = self._rows
        while pks := list(islice(self._pks, size)):
            filters = {"pk__in": pks}
            queryset: QuerySet[Any] = (
                QuerySet(rows.model).using(rows.alias).filter(**filters).order_by()
            )
            found = driver_rows(queryset.values_list(*columns(rows)))
            if found:
                return Chunk(found, filters)
        return None


def walk_of(rows: CachedRows, queryset: QuerySet[Any] | None, after: Any = None) -> Walk:
    """How to go through rows: by key, unless a queryset has an order or limits of its own."""
    if queryset is None or not (queryset.query.is_sliced or queryset.query.order_by):
        return ByKey(rows, queryset, after)
    return Listed(rows, _pks(queryset.using(rows.alias)))


def columns(rows: CachedRows) -> list[str]:
    """The attnames of the columns that keys are made of: the primary key first."""
    names = (name for lookup in rows.lookups.values() for name in lookup.columns)
    return list(dict.fromkeys((rows.pk.attname, *names)))


def driver_rows(queryset: Any) -> list[Sequence[Any]]:
    """The rows of a query of some columns, as the driver gives them."""
    compiler = queryset.query.get_compiler(using=queryset.db)
    return list(chain.from_iterable(compiler.execute_sql(chunked_fetch=False)))


def _pks(queryset: QuerySet[Any]) -> Iterator[Any]:
    return queryset.values_list("pk", flat=True).iterator(chunk_size=MOST)
