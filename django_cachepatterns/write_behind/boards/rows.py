"""Scores in the table of a leaderboard: changes are written, and ranks are counted by SQL.

The rule is that of the board: rows without a score have no rank, and of equal scores the lower
primary key comes first; texts in the order of their bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from ... import fields
from ..records import LedgerEntry
from ..sql import NEW_VALUES, Table, array, row_by_row
from .scores import Change
from .standing import Standing

if TYPE_CHECKING:
    from .leaderboard import Leaderboard

ROWS = 2_000
"""Rows that are fetched at a time."""


class ScoreTable(Table):
    """The table of a board's scores.

    Args:
        connection: whose quotes.
        board: whose table.
    """

    def __init__(self, connection: BaseDatabaseWrapper, board: Leaderboard) -> None:
        super().__init__(connection, board.model)
        self.board = board
        column = fields.column(board.model, board.field).column
        self.score = connection.ops.quote_name(column)
        self.descending = board.order == "desc"
        self.sorted_pk = self.pk
        if board.members.are_texts and connection.vendor in _BYTES_ORDER:
            self.sorted_pk = f"{self.pk} COLLATE {_BYTES_ORDER[connection.vendor]}"
        direction = "DESC" if self.descending else "ASC"
        self.order = f"{self.score} {direction}, {self.sorted_pk}"

    def member(self, pk: Any) -> Any:
        """A primary key as rows have it, as Python has it."""
        return self.key.to_python(pk)


_BYTES_ORDER = {"postgresql": '"C"', "mysql": "utf8mb4_bin"}


def change(
    connection: BaseDatabaseWrapper, board: Leaderboard, changes: Mapping[Any, Change]
) -> int:
    """Change scores, in the order of primary keys. Returns how many rows there were.

    In an open transaction.
    """
    table = ScoreTable(connection, board)
    pks = sorted(changes)
    columns = list(zip(*(changes[pk] for pk in pks), strict=True))
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            best = "GREATEST" if table.descending else "LEAST"
            own, new = f"{table.name}.{table.score}", NEW_VALUES
            with row_by_row(cursor):
                cursor.execute(
                    f"UPDATE {table.name} SET {table.score} = CASE "
                    f"WHEN {new}.added IS NULL OR {own} IS NULL THEN {new}.fresh "
                    f"ELSE {best}({own} + {new}.added, {new}.bound) END "
                    f"FROM unnest(%s::{table.pk_type}[], %s::bigint[], %s::bigint[], %s::bigint[])"
                    f" AS {new}(pk, added, bound, fresh) "
                    f"WHERE {table.name}.{table.pk} = {new}.pk",
                    [array(table.prepared(pks)), *map(array, columns)],
                )
                found = int(cursor.rowcount)
        else:
            cursor.executemany(_one_row(table), _one_row_s(table, pks, columns))
            found = int(cursor.rowcount)
    return found


def _one_row(table: ScoreTable) -> str:
    score, better = table.score, ">=" if table.descending else "<="
    return (
        f"UPDATE {table.name} SET {score} = CASE "
        f"WHEN %s = 1 OR {score} IS NULL THEN %s "
        f"WHEN %s = 1 OR {score} + %s {better} %s THEN {score} + %s ELSE %s END "
        f"WHERE {table.pk} = %s"
    )


def _one_row_s(
    table: ScoreTable, pks: Sequence[Any], columns: Sequence[Sequence[int | None]]
) -> list[tuple[Any, ...]]:
    """The parameters of `_one_row()`. No NULL is among those that SQL calculates with."""
    return [
        (int(add is None), fresh, int(bound is None), add or 0, bound or 0, add or 0, bound, pk)
        for pk, add, bound, fresh in zip(table.prepared(pks), *columns, strict=True)
    ]


def top(board: Leaderboard, number: int, offset: int) -> list[Standing]:
    """Places in their order."""
    connection = connections[board.alias]
    table = ScoreTable(connection, board)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {table.pk}, {table.score} FROM {table.name} "
            f"WHERE {table.score} IS NOT NULL ORDER BY {table.order} LIMIT %s OFFSET %s",
            [number, offset],
        )
        found = cursor.fetchall()
    return [
        Standing(rank, table.member(pk), score)
        for rank, (pk, score) in enumerate(found, offset + 1)
    ]


def rank(board: Leaderboard, pk: Any) -> int | None:
    """The place of a row, from 1; `None` where it has no score, or is not there."""
    connection = connections[board.alias]
    table = ScoreTable(connection, board)
    mine = score(board, pk)
    if mine is None:
        return None
    better = ">" if table.descending else "<"
    (prepared,) = table.prepared([pk])
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT count(*) FROM {table.name} WHERE {table.score} {better} %s "
            f"OR ({table.score} = %s AND {table.sorted_pk} < %s)",
            [mine, mine, prepared],
        )
        return int(cursor.fetchone()[0]) + 1


def score(board: Leaderboard, pk: Any) -> int | None:
    """The score of a row; `None` where it has none, or is not there."""
    connection = connections[board.alias]
    table = ScoreTable(connection, board)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {table.score} FROM {table.name} WHERE {table.pk} = %s", table.prepared([pk])
        )
        found = cursor.fetchone()
    return found[0] if found else None


def size(board: Leaderboard) -> int:
    """The number of rows that have a score."""
    connection = connections[board.alias]
    table = ScoreTable(connection, board)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count({table.score}) FROM {table.name}")
        return int(cursor.fetchone()[0])


def snapshot(
    board: Leaderboard, batches: Sequence[str]
) -> Iterator[list[tuple[str | None, Any, int]]]:
    """Everything that has a score, and which of some batches are in the ledger, of one moment.

    Gives lists of a batch, or of `None`, a primary key and a score. One statement, because two
    would see two moments. In an open transaction; on PostgreSQL the server keeps what was not
    fetched yet.
    """
    connection: Any = connections[board.alias]
    table = ScoreTable(connection, board)
    sql = (
        f"SELECT NULL, {table.pk}, {table.score} FROM {table.name} WHERE {table.score} IS NOT NULL"
    )
    batch_field: Any = LedgerEntry._meta.pk
    ids = [batch_field.get_db_prep_value(UUID(batch), connection) for batch in batches]
    if ids:
        ledger = connection.ops.quote_name(LedgerEntry._meta.db_table)
        places = ", ".join(["%s"] * len(ids))
        sql = f"SELECT batch, NULL, NULL FROM {ledger} WHERE batch IN ({places}) UNION ALL {sql}"
    with connection.chunked_cursor() as cursor:
        cursor.execute(sql, ids)
        while found := cursor.fetchmany(ROWS):
            yield [
                (batch and batch_field.to_python(batch).hex, pk, score)
                for batch, pk, score in found
            ]
