"""Column values straight from the database, and whether others may see them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

from django.db import connections
from django.db.models import BooleanField, Model, QuerySet
from django.db.models.expressions import RawSQL

from ..transactions.publishing import may_publish, question

_PUBLISH = "cachepatterns_publish"


def load_rows(
    model: type[Model], alias: str, filters: dict[str, Any]
) -> tuple[list[Sequence[Any]], bool]:
    """The unconverted rows that match, in one query, and whether they may be published.

    Rows must not be published that were read from the snapshot of a REPEATABLE READ or
    SERIALIZABLE transaction, which may be old, or in one that has written anything, which may
    be its own. On PostgreSQL the same query asks for both, where it finds a row.
    """
    # Not the model's own manager: that may be filtered, and this must see every row.
    queryset: QuerySet[Any, Any] = QuerySet(model, using=alias).filter(**filters).order_by()
    connection = connections[alias]
    asked = question(connection)
    if isinstance(asked, str):
        queryset = queryset.annotate(**{_PUBLISH: RawSQL(asked, (), BooleanField())})
    compiler = queryset.query.get_compiler(using=alias)
    rows = list(chain.from_iterable(compiler.execute_sql(chunked_fetch=False)))
    if isinstance(asked, bool):
        return rows, asked
    if not rows:
        return rows, may_publish(alias)  # No row has brought the answer.
    return [row[:-1] for row in rows], all(row[-1] for row in rows)
