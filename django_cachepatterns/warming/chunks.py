"""Chunks of rows: their primary keys, found before the rows are read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Protocol

from django.db.models import QuerySet

from ..orm.rows import CachedRows

MOST = 2000
"""Rows of a chunk: many enough for few round trips, few enough for readers to wait for it."""


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
        self._is_part = queryset is not None
        """Whether there may be other rows between these, and a join may give one more than once."""
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
        if self._is_part:
            found = list({row[0]: row for row in found}.values())
        self._after = last = self._pk(found[-1])
        if self._is_part:
            return Chunk(found, {"pk__in": list(map(self._pk, found))}, last)
        return Chunk(found, {"pk__gte": self._pk(found[0]), "pk__lte": last}, last)

    def _pk(self, row: Sequence[Any]) -> Any:
        """The primary key of a row, as the ORM takes it."""
        rows = self._rows
        return rows.shape.value({rows.pk.attname: row[0]}, rows.pk.attname)


class Listed:
    """Rows by their primary keys, in an order of their own; the keys are held in memory.

    Args:
        rows: the model's.
        find: gives the keys, as the ORM takes them; called in the first `take()`.
    """

    def __init__(self, rows: CachedRows, find: Callable[[], Sequence[Any]]) -> None:
        self._rows, self._find = rows, find
        self._pks: Sequence[Any] | None = None
        self._at = 0

    def take(self, size: int) -> Chunk | None:
        """See `Walk`."""
        if self._pks is None:
            self._pks = self._find()
        while pks := self._pks[self._at : self._at + size]:
            found = self._look(pks)
            self._at += size  # Now: what has failed is taken again.
            if found:
                return Chunk(found, {"pk__in": pks})
        return None

    def _look(self, pks: Sequence[Any]) -> list[Sequence[Any]]:
        rows = self._rows
        chosen: QuerySet[Any] = QuerySet(rows.model).using(rows.alias).filter(pk__in=pks)
        return driver_rows(chosen.order_by().values_list(*columns(rows)))


def walk_of(
    rows: CachedRows, queryset: QuerySet[Any] | None, limit: int | None = None, after: Any = None
) -> Walk:
    """How to go through rows: by key, unless a queryset has an order or limits of its own."""
    if queryset is None or not (queryset.query.is_sliced or queryset.query.order_by):
        return ByKey(rows, queryset, after)
    pks = queryset.using(rows.alias).values_list("pk", flat=True)
    # A cursor would be one thread's, and others go on when that has ended.
    return Listed(rows, lambda: list(dict.fromkeys(pks if limit is None else pks[:limit])))


def columns(rows: CachedRows) -> list[str]:
    """The attnames of the columns that keys are made of: the primary key first."""
    names = (name for lookup in rows.lookups.values() for name in lookup.columns)
    return list(dict.fromkeys((rows.pk.attname, *names)))


def driver_rows(queryset: Any) -> list[Sequence[Any]]:
    """The rows of a query of some columns, as the driver gives them."""
    compiler = queryset.query.get_compiler(using=queryset.db)
    return list(chain.from_iterable(compiler.execute_sql(chunked_fetch=False)))
