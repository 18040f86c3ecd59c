"""Changes of many rows as SQL: one statement on PostgreSQL, one for each row elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model

from .. import fields


class Table:
    """One table's names, quoted for a connection.

    Args:
        connection: whose quotes.
        model: whose table.
    """

    def __init__(self, connection: BaseDatabaseWrapper, model: type[Model]) -> None:
        quote = connection.ops.quote_name
        self.connection = connection
        self.name = quote(model._meta.db_table)
        self.key = fields.primary_key(model)
        self.pk = quote(self.key.column)
        # Without its length: a cast would cut a text to that, and so to another row's key.
        pk_type = fields.target(self.key).rel_db_type(connection)
        self.pk_type = re.sub(r"\([^)]*\)", "", pk_type)

    def prepared(self, pks: Sequence[Any]) -> list[Any]:
        """Primary keys as the driver takes them."""
        if pks and type(pks[0]) is int:
            return list(pks)
        return [self.key.get_db_prep_value(pk, self.connection) for pk in pks]


def add(
    connection: BaseDatabaseWrapper, model: type[Model], column: str, amounts: Mapping[Any, int]
) -> int:
    """Add amounts to a column, by primary key and in their order. Returns how many rows there were.

    A column that is NULL counts as 0. In an open transaction.
    """
    table = Table(connection, model)
    name = connection.ops.quote_name(column)
    pks = sorted(amounts)
    deltas = [amounts[pk] for pk in pks]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with row_by_row(cursor):
                cursor.execute(
                    f"UPDATE {table.name} "
                    f"SET {name} = COALESCE({table.name}.{name}, 0) + {NEW_VALUES}.amount "
                    f"FROM unnest(%s::{table.pk_type}[], %s::bigint[]) AS {NEW_VALUES}(pk, amount) "
                    f"WHERE {table.name}.{table.pk} = {NEW_VALUES}.pk",
                    [array(table.prepared(pks)), array(deltas)],
                )
                found = int(cursor.rowcount)
        else:
            cursor.executemany(
                f"UPDATE {table.name} SET {name} = COALESCE({name}, 0) + %s WHERE {table.pk} = %s",
                list(zip(deltas, table.prepared(pks), strict=True)),
            )
            found = int(cursor.rowcount)
    return found


NEW_VALUES = "cachepatterns_new"
"""What the amounts are called in a statement: as no table is."""
_WAYS = ("enable_hashjoin", "enable_mergejoin", "enable_seqscan")
_ROW_BY_ROW = "SELECT " + ", ".join(
    (
        *(f"current_setting('{way}')" for way in _WAYS),
        *(f"set_config('{way}', 'off', true)" for way in _WAYS),
    )
)
_AS_BEFORE = "SELECT " + ", ".join(f"set_config('{way}', %s, true)" for way in _WAYS)


@contextmanager
def row_by_row(cursor: Any) -> Iterator[None]:
    """Have PostgreSQL look each row up by its key, in the order of the arrays, for a block.

    Rows are locked in the order of their keys then, so that two statements cannot wait for each
    other. Left to itself it reads the whole table for a few thousand rows, which takes longer, too.
    """
    cursor.execute(_ROW_BY_ROW)
    before = cursor.fetchone()[: len(_WAYS)]
    yield
    connection = cursor.db
    if connection.savepoint_ids or not connection.commit_on_exit:
        # The transaction is the caller's, who goes on with plans of his own. After an error, its
        # being rolled back does the same.
        cursor.execute(_AS_BEFORE, before)


def array(values: Sequence[Any]) -> Any:
    """A parameter for an array: as a text where that is quickly made."""
    if values and set(map(type, values)) == {int}:
        return "{" + ",".join(map(str, values)) + "}"
    return list(values)
