"""A value that waits reads as from the database, and gets there as a save would bring it."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import models
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from django_cachepatterns.write_behind import Draft, registry
from tests.integration.exact import exactly
from tests.integration.test_columns import VALUES
from tests.testapp.models import Everything, MaskedRow

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def draft() -> Iterator[Draft]:
    made = Draft(Everything, name="everything", create=True)
    yield made
    registry.unregister(made)


def stored(pk: int, names: list[str]) -> Any:
    (row,) = Everything.objects.nocache().filter(pk=pk).values(*names)
    return exactly(row)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.fixed_dictionaries({}, optional=VALUES), st.booleans())
def test_a_value_reads_as_a_save_would_have_it(
    draft: Draft, values: dict[str, Any], inserts: bool
) -> None:
    draft.server().forget(draft.keys())
    names = list(draft.columns())
    saved = Everything.objects.create(**values)
    expected = stored(saved.pk, names)
    pk = saved.pk + 1_000_000 if inserts else Everything.objects.create().pk
    draft.save(pk, {"small": None, **values})
    found = draft.get(pk)
    assert found is not None
    assert exactly(dict(found)) == expected, "while it waits"
    (change,) = draft.parse(waiting(draft)).values()
    assert exactly(draft.from_text(draft.to_text(change))) == exactly(change), "in a dead letter"
    assert draft.flush().rows == 1
    assert stored(pk, names) == expected, "when it was flushed"
    found = draft.get(pk)
    assert found is not None
    assert exactly(dict(found)) == expected, "read from the database"
    Everything.objects.all().delete()


def waiting(draft: Draft) -> dict[bytes, bytes]:
    server, keys = draft.server(), draft.keys()
    _, (batch,) = server.seal(keys)
    return server.read(keys, batch)()


class Colour(models.TextChoices):
    RED = "red"


class Size(enum.IntEnum):
    LARGE = 3


class Moment(dt.datetime):
    """As a library of dates may have it."""


@pytest.mark.parametrize(
    "values",
    [
        {"char": Colour.RED, "integer": Size.LARGE, "floating": 3},
        {"integer": "12", "date": "2026-01-02", "decimal": "1.5", "uuid": "0" * 32},
        {"at": Moment(2026, 1, 2, tzinfo=dt.timezone(dt.timedelta(hours=5)))},
        {"json": {1: (1, 2), "big": [1e300, 1e16, 1.5e-9, -0.0], "n": 10**40}},
        {"json": "text"},
        {"int_range": (1, None), "ints": (1, 2)},
        {"binary": bytearray(b"abc")},
        {"duration": "3 00:00:01"},
    ],
)
def test_what_fields_convert_is_converted(draft: Draft, values: dict[str, Any]) -> None:
    row, twin = Everything.objects.create(), Everything.objects.create()
    draft.save(row.pk, values)
    twin.__dict__.update(values)
    twin.save()
    found = draft.get(row.pk)
    assert found is not None
    (expected,) = Everything.objects.nocache().filter(pk=twin.pk).values(*draft.columns())
    assert exactly(dict(found)) == exactly(expected)
    draft.flush()
    assert exactly(expected) == stored(row.pk, list(draft.columns()))


def test_a_value_is_prepared_once() -> None:
    draft = Draft(MaskedRow, create=True)
    try:
        draft.save(1, code=7)
        assert draft.get(1) == {"code": 7, "n": 0}
        draft.flush()
        assert MaskedRow.objects.get(pk=1).code == 7
        draft.save(1, code=8)
        draft.flush()
        assert MaskedRow.objects.get(pk=1).code == 8
    finally:
        registry.unregister(draft)


def test_expressions_and_files_that_are_not_stored_are_refused(draft: Draft) -> None:
    from django.core.files.base import ContentFile

    row = Everything(file=ContentFile(b"x", name="x.txt"))
    for value in ({"integer": models.F("small")}, {"file": row.file}):
        with pytest.raises(ValueError, match=r"before the database computes|not stored yet"):
            draft.save(1, value)
