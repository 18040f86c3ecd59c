"""Errors that say that a row is wrong, and those that say that the database is in trouble."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, DataError, IntegrityError, OperationalError

from django_cachepatterns.write_behind.refusals import is_refusal


@pytest.mark.parametrize(
    ("error", "refuses"),
    [
        (DataError("value too long"), True),
        (IntegrityError("CHECK constraint failed"), True),
        (OperationalError(1366, "Incorrect string value: '\\xF0\\x9F' for column"), True),
        (OperationalError(1292, "Incorrect uuid value"), True),
        (OperationalError(1644, "raised by a trigger"), True),
        (OperationalError(1213, "Deadlock found when trying to get lock"), False),
        (OperationalError(2006, "Server has gone away"), False),
        (OperationalError("database is locked"), False),
        (DatabaseError(), False),
    ],
)
def test_a_refusal_is_told_from_trouble(error: DatabaseError, refuses: bool) -> None:
    assert is_refusal(error) is refuses
