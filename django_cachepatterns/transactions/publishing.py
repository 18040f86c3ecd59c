"""Whether what was read may be shown to others.

It must not where it was read from the snapshot of a REPEATABLE READ or SERIALIZABLE transaction,
which may be old, or in a transaction that has written anything, which may be its own, or from a
replica, which may lag behind.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from .state import in_any_transaction, in_testcase, reads_a_snapshot

READ_COMMITTED = "current_setting('transaction_isolation') = 'read committed'"
NOTHING_WRITTEN = "pg_current_xact_id_if_assigned() IS NULL"


def question(connection: BaseDatabaseWrapper) -> str | bool:
    """Whether what this connection reads may be published, as SQL where only it knows."""
    if not connection.in_atomic_block and (
        connection.autocommit if connection.connection else connection.settings_dict["AUTOCOMMIT"]
    ):
        return True
    if in_testcase(connection):
        # It has written its fixtures; nobody else reads the cache then. Nor is a query added, for
        # tests count them.
        return not reads_a_snapshot(connection)
    if connection.vendor == "postgresql":
        return f"{READ_COMMITTED} AND {NOTHING_WRITTEN}"
    if connection.vendor == "mysql":
        return getattr(connection, "isolation_level", None) == "read committed"
    return False


def may_publish(*aliases: str) -> bool:
    """Whether what this thread has just read may be published. Ask after the read.

    Args:
        aliases: the databases that were read; none: any that a transaction is open on.

    Costs a query on each of them that is in a transaction, none elsewhere.
    """
    chosen = [connections[alias] for alias in aliases] or connections.all(initialized_only=True)
    return all(map(_may_publish, chosen))


def _may_publish(connection: BaseDatabaseWrapper) -> bool:
    answer = question(connection)
    if isinstance(answer, bool):
        return answer
    if connection.needs_rollback or not in_any_transaction(connection):
        return False
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {answer}")
            return bool(cursor.fetchone()[0])
    except DatabaseError:
        return False


class _Readings:
    """Which databases were asked for anything."""

    def __init__(self) -> None:
        self.aliases: set[str] = set()

    def __call__(self, execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        self.aliases.add(context["connection"].alias)
        return execute(sql, params, many, context)


@contextmanager
def reads_noted() -> Iterator[set[str]]:
    """Which databases this thread reads in a block: a load that read a replica must not fill.

    Blocks of coroutines that share a thread may overlap, in any order.
    """
    noted = _Readings()
    every = connections.all()
    # Not `execute_wrapper()`, which takes away the last one, whosever it is.
    for connection in every:
        connection.execute_wrappers.insert(0, noted)
    try:
        yield noted.aliases
    finally:
        for connection in every:
            connection.execute_wrappers.remove(noted)
