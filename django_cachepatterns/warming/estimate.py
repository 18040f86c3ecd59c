"""About how many rows there are, for a progress bar."""

from __future__ import annotations

from typing import Any

from django.db import connections
from django.db.models import QuerySet

from ..orm.rows import CachedRows

COUNTED = 100_000
"""Rows up to which they are counted: a count reads the whole table."""


def estimated(rows: CachedRows, queryset: QuerySet[Any] | None) -> int:
    """About how many rows a model or queryset has."""
    if queryset is None and connections[rows.alias].vendor == "postgresql":
        known = _known(rows)
        if known > COUNTED:
            return known
    chosen = QuerySet(rows.model) if queryset is None else queryset
    return chosen.using(rows.alias).count()


def _known(rows: CachedRows) -> int:
    """What PostgreSQL knows of the table since it was vacuumed; -1 where that is nothing."""
    with connections[rows.alias].cursor() as cursor:
        table = connections[rows.alias].ops.quote_name(rows.model._meta.db_table)
        cursor.execute(
            "SELECT reltuples::bigint FROM pg_class WHERE oid = to_regclass(%s)", [table]
        )
        row = cursor.fetchone()
    return int(row[0]) if row else -1
