"""The chronicle: every state that a few tables have been in, in the order of the commits.

Deferred triggers write it at the end of the transaction that changes a table, whatever statement
changes it, and nobody has to tell them how. Each entry is taken under the lock of one clock, which
is held until the transaction is committed: so what the clock says was committed when a read began
is a lower bound for what the read may show, and the entries from there on are all that it may be.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple

from django.db import connection

State = Sequence[Sequence[Any]]
"""The rows of a scope at one moment, in the order of their first column."""


class Scope(NamedTuple):
    """Tables whose state is chronicled together."""

    name: str
    tables: Sequence[str]
    query: str
    """SQL of one row of one column: the state, as JSON."""


class Floor(NamedTuple):
    """What was committed, and what was announced, before a read began."""

    clock: int
    announced: dict[str, int]
    """What was said to be over by those who tell nobody before they commit."""


class Chronicle:
    """Reads the chronicle.

    Args:
        witness: a connection in autocommit.
    """

    def __init__(self, witness: Any) -> None:
        self._connection = witness

    def floor(self) -> Floor:
        """What is committed and announced now."""
        ((clock, announced),) = self._all(
            "SELECT now, (SELECT json_object_agg(name, at) FROM history_announced)::text "
            "FROM history_clock"
        )
        return Floor(clock, json.loads(announced or "{}"))

    def since(self, scope: str, clock: int) -> list[State]:
        """The state at a time of the clock, and all later ones: the oldest first."""
        found = self._all(
            "SELECT state FROM history_log WHERE scope = %s AND at >= (SELECT max(at) "
            "FROM history_log WHERE scope = %s AND at <= %s) ORDER BY at",
            scope,
            scope,
            clock,
        )
        return [_state(text) for (text,) in found]

    def until(self, scope: str, clock: int) -> Iterator[State]:
        """Older states than the one at a time of the clock: the newest first."""
        last, limit = clock, 10
        skip = True  # The state at that time itself.
        while found := self._all(
            "SELECT at, state FROM history_log WHERE scope = %s AND at <= %s "
            "ORDER BY at DESC LIMIT %s",
            scope,
            last,
            limit,
        ):
            yield from (_state(text) for _, text in found[skip:])
            last, limit, skip = found[-1][0] - 1, limit * 4, False

    def _all(self, sql: str, *arguments: object) -> list[tuple]:
        with self._connection.cursor() as cursor:
            cursor.execute(sql, arguments or None)
            return cursor.fetchall()


def state_now(scope: Scope) -> State:
    """The state as this thread's own transaction sees it."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT ({scope.query})::text")
        return _state(cursor.fetchone()[0])


def transaction_id() -> int:
    """This thread's own transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT txid_current()")
        return int(cursor.fetchone()[0])


def announce(name: str, transaction: int) -> None:
    """Say that readers who begin from now on see what a transaction has committed.

    Others may have committed since who have not told anyone yet.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO history_announced SELECT %s, at FROM history_log WHERE transaction = %s "
            "ON CONFLICT (name) DO UPDATE SET at = greatest(excluded.at, history_announced.at)",
            [name, transaction],
        )


@contextmanager
def kept(scopes: Sequence[Scope]) -> Iterator[None]:
    """Keep the chronicle, for the length of a block."""
    with connection.cursor() as cursor:
        cursor.execute(_TABLES)
        for scope in scopes:
            cursor.execute(_FUNCTION.format(name=scope.name, query=scope.query))
            for table in scope.tables:
                cursor.execute(_TRIGGER.format(name=scope.name, table=table))
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            for scope in scopes:
                cursor.execute(f"DROP FUNCTION history_note_{scope.name} CASCADE")
            cursor.execute("DROP TABLE history_clock, history_announced, history_log")


@lru_cache(maxsize=512)
def _state(text: str) -> State:
    return json.loads(text)


_TABLES = """
DROP TABLE IF EXISTS history_clock, history_announced, history_log;
CREATE TABLE history_clock (now bigint);
INSERT INTO history_clock VALUES (0);
CREATE TABLE history_announced (name text PRIMARY KEY, at bigint);
CREATE TABLE history_log (
    scope text, at bigint, transaction bigint, state text,
    PRIMARY KEY (scope, at), UNIQUE (scope, transaction)
);
"""
# Once a transaction: deferred triggers run when all of its statements are done.
_FUNCTION = """
INSERT INTO history_log SELECT '{name}', 0, 0, ({query})::text;
CREATE OR REPLACE FUNCTION history_note_{name}() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE tick bigint;
BEGIN
    IF NOT EXISTS (
        SELECT 1 FROM history_log WHERE scope = '{name}' AND transaction = txid_current()
    ) THEN
        UPDATE history_clock SET now = now + 1 RETURNING now INTO tick;
        INSERT INTO history_log SELECT '{name}', tick, txid_current(), ({query})::text;
    END IF;
    RETURN NULL;
END $$;
"""
_TRIGGER = """
CREATE CONSTRAINT TRIGGER history_note_{name} AFTER INSERT OR UPDATE OR DELETE ON {table}
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION history_note_{name}();
"""
