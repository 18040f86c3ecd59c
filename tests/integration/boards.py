"""Leaderboards that are there for the length of a test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis
from django.db import connections

from django_cachepatterns.write_behind import Leaderboard, Standing, registry
from django_cachepatterns.write_behind.boards import following


@contextmanager
def made(name: str, **options: Any) -> Iterator[Leaderboard]:
    """A board, registered and followed for the length of a block."""
    board = Leaderboard(name, **options)
    try:
        yield board
    finally:
        following.leave(board)
        registry.unregister(board)


def by_sql(board: Leaderboard) -> list[Standing]:
    """The whole board, as a window function ranks it."""
    table, pk = board.model._meta.db_table, board.model._meta.pk
    connection = connections[board.alias]
    sorted_pk = pk.column
    if pk.get_internal_type() == "CharField" and connection.vendor == "postgresql":
        sorted_pk += ' COLLATE "C"'
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT ROW_NUMBER() OVER (ORDER BY {board.field} {board.order}, {sorted_pk}), "
            f"{pk.column}, {board.field} FROM {table} WHERE {board.field} IS NOT NULL ORDER BY 1"
        )
        rows = cursor.fetchall()
    return [Standing(rank, pk.to_python(member), score) for rank, member, score in rows]


def board_key(board: Leaderboard, client: redis.Redis) -> bytes | None:
    """The key of the sorted set, if there is or was one."""
    found: Any = client.get(board.board_keys().current)
    return found  # type: ignore[no-any-return]


def lose(board: Leaderboard, client: redis.Redis) -> None:
    """Take the sorted set away, as a server that evicts it would."""
    key = board_key(board, client)
    if key is not None:
        client.delete(key)
