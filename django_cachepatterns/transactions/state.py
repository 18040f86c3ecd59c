"""What Django's connection says of its transaction."""

from __future__ import annotations

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper


def in_transaction(connection: BaseDatabaseWrapper) -> bool:
    """Whether a statement now would wait for a later commit.

    The transactions that `TestCase` wraps around a test do not count, so that code under test
    sees what it would see in autocommit.
    """
    if connection.in_atomic_block:
        return not all(map(_is_testcases, connection.atomic_blocks))
    if connection.connection is None:
        return not connection.settings_dict["AUTOCOMMIT"]
    return not connection.autocommit


def in_any_transaction(connection: BaseDatabaseWrapper) -> bool:
    """Whether a transaction is open, a `TestCase`'s too."""
    return connection.in_atomic_block or in_transaction(connection)


def in_testcase(connection: BaseDatabaseWrapper) -> bool:
    """Whether a `TestCase` will roll back what is written now."""
    blocks = connection.atomic_blocks
    return bool(blocks) and _is_testcases(blocks[0])


def reads_a_snapshot(connection: BaseDatabaseWrapper) -> bool:
    """Whether the settings say that a transaction reads one snapshot all along."""
    level = connection.settings_dict["OPTIONS"].get("isolation_level")
    return level is not None and connection.vendor == "postgresql" and int(level) >= 3


def outcome_unknown(connection: BaseDatabaseWrapper) -> bool:
    """Whether the connection broke outside of a block: in a COMMIT, or in autocommit.

    The server may still be committing then: ending the write now would let a reader fill the old
    row moments before the commit shows.
    """
    if connection.in_atomic_block or not connection.errors_occurred:
        return False
    closed = getattr(connection.connection, "closed", None)
    return closed is None or bool(closed)


def _is_testcases(block: Any) -> bool:
    marked: bool = block._from_testcase
    return marked
