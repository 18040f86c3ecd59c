"""Rows that a query gave before, made into whatever the queryset gives: models, dicts, tuples.

Django's own iterables do it. They are given a compiler that has the rows already.
"""

from __future__ import annotations

from itertools import chain
from typing import Any

from django.db.models import QuerySet


def run(queryset: QuerySet[Any], alias: str) -> list[list[Any]]:
    """The rows that a query gives, as the driver gives them."""
    compiler = queryset.query.get_compiler(using=alias)
    return [list(row) for row in chain.from_iterable(compiler.execute_sql(chunked_fetch=False))]


def replay(queryset: QuerySet[Any], compiler: Any, rows: list[Any], seen_as: str) -> list[Any]:
    """What a queryset would have given had the database sent these rows.

    Args:
        compiler: one that has compiled the queryset's query.
        rows: as `run()` gave them.
        seen_as: the database that instances say they came from.
    """
    clone: Any = queryset._chain()  # type: ignore[attr-defined]
    clone._db = seen_as
    # Of this clone and this compiler, which nobody else has.
    compiler.execute_sql = lambda *args, **kwargs: [[tuple(row) for row in rows]]
    clone.query.get_compiler = lambda *args, **kwargs: compiler
    return list(clone._iterable_class(clone))
