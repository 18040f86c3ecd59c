"""Values of many rows as SQL: on PostgreSQL a statement for all rows that have the same columns,
elsewhere one for each row.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from django.db import IntegrityError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model, QuerySet

from ... import fields
from ..sql import NEW_VALUES, Table
from .values import DraftColumn

Row = Mapping[str, Any]
"""Values that wait, by attname."""
_PARAMETERS = 60_000
"""In one statement: PostgreSQL takes 65,535 where they are bound by the server."""


def locked(
    connection: BaseDatabaseWrapper, model: type[Model], pks: Iterable[Any], *, unique: bool
) -> set[Any]:
    """Those of some rows that there are, locked in the order of their keys until the transaction
    ends.

    Args:
        unique: whether a column is written that other tables may refer to.
    """
    features = connection.features
    ordered = sorted(pks)
    size = features.max_query_params or len(ordered) or 1
    found: set[Any] = set()
    for at in range(0, len(ordered), size):
        rows: QuerySet[Any, Any] = QuerySet(model, using=connection.alias)
        rows = rows.filter(pk__in=ordered[at : at + size]).order_by("pk")
        if features.has_select_for_update:
            rows = rows.select_for_update(
                no_key=features.has_select_for_no_key_update and not unique
            )
        found.update(rows.values_list("pk", flat=True))
    return found


def update(
    connection: BaseDatabaseWrapper,
    model: type[Model],
    columns: Mapping[str, DraftColumn],
    rows: Mapping[Any, Row],
) -> None:
    """Write values of rows, by primary key and in their order. Raises what the database does."""
    groups: dict[tuple[str, ...], list[Any]] = {}
    for pk in sorted(rows):
        groups.setdefault(tuple(sorted(rows[pk])), []).append(pk)
    for names, pks in groups.items():
        if not names:
            continue
        chosen = [columns[name] for name in names]
        values = [
            [column.parameter(rows[pk][column.attname], connection) for column in chosen]
            for pk in pks
        ]
        _update(Table(connection, model), [column.field for column in chosen], pks, values)


def _update(
    table: Table, written: Sequence[Any], pks: Sequence[Any], values: Sequence[list[Any]]
) -> None:
    connection = table.connection
    quote = connection.ops.quote_name
    keys = table.prepared(pks)
    with connection.cursor() as cursor:
        if connection.vendor != "postgresql":
            sets = ", ".join(f"{quote(field.column)} = %s" for field in written)
            cursor.executemany(
                f"UPDATE {table.name} SET {sets} WHERE {table.pk} = %s",
                [[*row, key] for row, key in zip(values, keys, strict=True)],
            )
            return
        sets = ", ".join(
            f"{quote(field.column)} = {NEW_VALUES}.c{at}" for at, field in enumerate(written)
        )
        names = ", ".join(["pk", *(f"c{at}" for at in range(len(written)))])
        types = [table.pk_type, *(_type(field, connection) for field in written)]
        places = f"({', '.join(f'(%s)::{each}' for each in types)})"
        size = _PARAMETERS // len(types)
        for at in range(0, len(pks), size):
            some = list(zip(keys[at : at + size], values[at : at + size], strict=True))
            cursor.execute(
                f"UPDATE {table.name} SET {sets} FROM (VALUES {', '.join([places] * len(some))}) "
                f"AS {NEW_VALUES}({names}) WHERE {table.name}.{table.pk} = {NEW_VALUES}.pk",
                [value for key, row in some for value in (key, *row)],
            )


def _type(field: Any, connection: BaseDatabaseWrapper) -> str:
    """A column's type without its length: a cast would cut a text to that, an assignment refuses
    what is longer.
    """
    return re.sub(r"\([^)]*\)", "", field.db_type(connection))


def insert(
    connection: BaseDatabaseWrapper,
    model: type[Model],
    columns: Mapping[str, DraftColumn],
    rows: Mapping[Any, Row],
) -> bool:
    """Insert rows, with the model's defaults in what they leave out.

    Returns whether they are there: where another has inserted one of them meanwhile, none is.
    """
    key = fields.primary_key(model).attname
    objects: list[Any] = [
        model(
            **{
                key: pk,
                **{name: columns[name].read(value, connection) for name, value in row.items()},
            }
        )
        for pk, row in sorted(rows.items())
    ]
    try:
        with transaction.atomic(using=connection.alias):
            QuerySet(model, using=connection.alias).bulk_create(objects)
    except IntegrityError:
        if _any(connection, model, rows):
            return False
        raise
    return True


def _any(connection: BaseDatabaseWrapper, model: type[Model], pks: Collection[Any]) -> bool:
    rows: QuerySet[Any, Any] = QuerySet(model, using=connection.alias)
    size = connection.features.max_query_params or len(pks) or 1
    ordered = sorted(pks)
    # By their very keys: a collation may find a row under another spelling.
    return any(
        not set(rows.filter(pk__in=some).values_list("pk", flat=True)).isdisjoint(some)
        for some in (ordered[at : at + size] for at in range(0, len(ordered), size))
    )
