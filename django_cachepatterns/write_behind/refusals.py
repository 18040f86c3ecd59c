"""Rows that the database refuses, found among those that it takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db import DatabaseError, DataError, IntegrityError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

if TYPE_CHECKING:
    from .buffer import Buffer

_ROWS_FAULT = ("22", "23", "44", "P0")
"""SQLSTATE classes that say that a value is wrong: data exception, integrity constraint, WITH CHECK
OPTION, raised by a trigger. PostgreSQL, appendix A."""
_MYSQL_ROWS_FAULT = frozenset({1264, 1265, 1292, 1366, 1367, 1406, 1411, 1644, 3140})
"""MySQL's numbers for values that are out of range, too long, not of the column's type, set of
characters or syntax, and for what a trigger signals. Its driver takes most for trouble of the
database."""


class Refusal(NamedTuple):
    """A change that was refused, and why."""

    pk: Any
    change: Any
    reason: str


def is_refusal(error: DatabaseError) -> bool:
    """Whether an error says that a row's change is wrong, not that the database is in trouble."""
    state = getattr(error.__cause__, "sqlstate", None)
    if state is not None:
        return str(state)[:2] in _ROWS_FAULT or _breaks_a_policy(error.__cause__)
    if error.args and error.args[0] in _MYSQL_ROWS_FAULT:
        return True
    return isinstance(error, DataError | IntegrityError)


def _breaks_a_policy(error: Any) -> bool:
    """Whether PostgreSQL has refused a row by a policy of row-level security.

    Its SQLSTATE is that of a table without permission, which is not a row's fault.
    """
    where = getattr(getattr(error, "diag", None), "source_function", None)
    return bool(error.sqlstate == "42501" and where == "ExecWithCheckOptions")


def apply_in_parts(
    buffer: Buffer[Any], connection: BaseDatabaseWrapper, changes: Mapping[Any, Any]
) -> tuple[int, list[Refusal]]:
    """Apply what the database takes: a part that it refuses is halved until the row is alone.

    Returns how many rows there were, and what was refused. In an open transaction.
    """
    found, refused = 0, []
    parts = [sorted(changes)]
    while parts:
        pks = parts.pop()
        part = {pk: changes[pk] for pk in pks}
        try:
            with transaction.atomic(using=connection.alias):
                number = buffer.apply(connection, part)
                # Constraints that wait for the commit would refuse all of it then.
                connection.check_constraints([buffer.model._meta.db_table])
        except DatabaseError as error:
            if not is_refusal(error):
                raise
            if len(pks) == 1:
                refused.append(Refusal(pks[0], part[pks[0]], _reason(error)))
            else:
                middle = len(pks) // 2
                parts += [pks[middle:], pks[:middle]]
        else:
            found += number
    return found, refused


def _reason(error: DatabaseError) -> str:
    return f"{type(error).__name__}: {error}".strip()
