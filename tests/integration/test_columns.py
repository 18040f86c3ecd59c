"""A cached row has the very values that the database would have given."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from typing import Any

import pytest
from django.core.files.storage import InMemoryStorage
from django.db import connections
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.types.range import DateRange, Int4Range, Int8Range, NumericRange, TimestamptzRange

from django_cachepatterns import metrics
from django_cachepatterns.orm.rows import rows_of
from django_cachepatterns.orm.shape import RowShape
from tests.testapp.models import Everything, Readable

pytestmark = pytest.mark.django_db(transaction=True)

UTC = dt.UTC
text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=60)
moments = st.builds(
    lambda day, time: dt.datetime.combine(day, time, UTC),
    st.dates(dt.date(1, 1, 2), dt.date(9999, 12, 30)),
    st.times(),
)
integers = st.integers(-(2**31), 2**31 - 1)
decimals = st.decimals(-(10**15), 10**15, allow_nan=False, places=10)
grid_cells = st.decimals(-(10**5), 10**5, allow_nan=False, places=3)
json_values = st.recursive(
    st.none() | st.booleans() | integers | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)


def maybe(strategy: Any) -> Any:
    return st.none() | strategy


def ranges(kind: Any, values: Any) -> Any:
    @st.composite
    def build(draw: Any) -> Any:
        if draw(st.integers(0, 9)) == 0:
            return kind(empty=True)
        lower, upper = draw(maybe(values)), draw(maybe(values))
        if lower is not None and upper is not None and lower > upper:
            lower, upper = upper, lower
        return kind(lower, upper, draw(st.sampled_from(["[)", "[]", "(]", "()"])))

    return maybe(build())


VALUES = {
    "small": maybe(st.integers(-(2**15), 2**15 - 1)),
    "integer": maybe(st.integers(-(10**9), 10**9)),
    "big": maybe(st.integers(-(2**63), 2**63 - 1)),
    "positive": maybe(st.integers(0, 2**31 - 1)),
    "decimal": maybe(decimals),
    "floating": maybe(st.floats()),
    "boolean": maybe(st.booleans()),
    "char": maybe(text),
    "text": maybe(text),
    "date": maybe(st.dates(dt.date(1, 1, 2), dt.date(9999, 12, 30))),
    "time": maybe(st.times()),
    "at": maybe(moments),
    "duration": maybe(st.timedeltas(dt.timedelta(days=-(10**6)), dt.timedelta(days=10**6))),
    "uuid": maybe(st.uuids()),
    "json": maybe(json_values),
    "binary": maybe(st.binary(max_size=50)),
    "ip": maybe(st.ip_addresses().map(str)),
    "ints": maybe(st.lists(maybe(integers), max_size=4)),
    "grid": maybe(
        st.integers(1, 3).flatmap(
            lambda n: st.lists(st.lists(grid_cells, min_size=n, max_size=n), max_size=3)
        )
    ),
    "moments": maybe(st.lists(moments, max_size=3)),
    "int_range": ranges(Int4Range, st.integers(-(2**31), 2**31 - 2)),
    "big_range": ranges(Int8Range, st.integers(-(2**62), 2**62)),
    "decimal_range": ranges(NumericRange, decimals),
    "date_range": ranges(DateRange, st.dates(dt.date(1, 1, 2), dt.date(9999, 12, 1))),
    "moment_range": ranges(TimestamptzRange, moments),
    "hstore": maybe(st.dictionaries(text, maybe(text), max_size=3)),
    "commas": maybe(st.lists(st.text("abc", min_size=1, max_size=4), min_size=1, max_size=4)),
    "point": maybe(st.tuples(st.integers(-999, 999), st.integers(-999, 999))),
    "file": maybe(st.just("some/file.txt")),
}


def exactly(value: Any) -> Any:
    """A value with its types, so that 1 is not True and a list no tuple."""
    if isinstance(value, list | tuple):
        return type(value), [exactly(each) for each in value]
    if isinstance(value, dict):
        return type(value), [(exactly(k), exactly(v)) for k, v in value.items()]
    return type(value), repr(value)


def columns(row: Any) -> dict[str, Any]:
    return {k: exactly(v) for k, v in row.__dict__.items() if not k.startswith("_")}


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.fixed_dictionaries(VALUES))
def test_every_field_comes_back_as_the_database_gives_it(values: dict[str, Any]) -> None:
    row = Everything.objects.create(**values)
    loaded = columns(Everything.objects.nocache().get(pk=row.pk))
    assert columns(Everything.objects.get(pk=row.pk)) == loaded, "on the miss"
    hits = metrics.snapshot()["hit"]
    assert columns(Everything.objects.get(pk=row.pk)) == loaded, "on the hit"
    assert metrics.snapshot()["hit"] == hits + 1
    rows = rows_of(Everything)
    assert rows is not None
    readable = RowShape(Everything, "default", "json")
    raw = rows.load([row.pk]).values[row.pk]
    (again,) = readable.instances([readable.decode(readable.encode(raw))], "default")
    assert columns(again) == loaded, "through JSON"


def test_nothing_in_a_row_is_uncacheable() -> None:
    before = metrics.snapshot()["unencodable"]
    row = Everything.objects.create(json={"n": 10**40}, floating=float("-inf"))
    Everything.objects.get(pk=row.pk)
    assert metrics.snapshot()["unencodable"] == before
    cached = Everything.objects.get(pk=row.pk)
    assert cached.json == {"n": 10**40}
    assert cached.floating == float("-inf")


def test_files_and_generated_columns(tmp_path: Any) -> None:
    row = Everything.objects.create(integer=21, file="a/b.txt", ip="::1")
    Everything.objects.get(pk=row.pk)
    cached = Everything.objects.get(pk=row.pk)
    assert cached.doubled == 42
    assert cached.file.name == "a/b.txt"
    assert not isinstance(cached.file.storage, InMemoryStorage)
    assert cached.ip == "::1"


def test_the_readable_codec_is_readable(redis_client: Any) -> None:
    row = Readable.objects.create(n=Decimal("9.90"), at=dt.datetime(2026, 1, 2, tzinfo=UTC))
    Readable.objects.get(pk=row.pk)
    assert Readable.objects.get(pk=row.pk).n == Decimal("9.90")
    rows = rows_of(Readable)
    assert rows is not None
    data = redis_client.get(rows.entry_key(row.pk))
    assert b'"n":{"$decimal":"9.90"}' in data


def test_another_time_zone_of_the_connection(django_assert_num_queries: Any) -> None:
    """Django gives datetimes in the zone of the database's TIME_ZONE setting."""
    row = Everything.objects.create(at=dt.datetime(2026, 7, 2, 12, tzinfo=UTC))
    connection = connections["default"]
    connection.close()
    connection.settings_dict["TIME_ZONE"] = "Asia/Kolkata"
    del connection.timezone, connection.timezone_name
    from django.test import override_settings

    try:
        with override_settings(CACHEPATTERNS={"KEY_PREFIX": "cpt-zone"}):
            loaded = columns(Everything.objects.nocache().get(pk=row.pk))
            Everything.objects.get(pk=row.pk)
            assert columns(Everything.objects.get(pk=row.pk)) == loaded
            assert "Kolkata" in repr(loaded["at"])
    finally:
        connection.close()
        connection.settings_dict["TIME_ZONE"] = None
        del connection.timezone, connection.timezone_name


def test_a_key_of_a_uuid_is_its_text() -> None:
    rows = rows_of(Everything)
    assert rows is not None
    assert rows.entry_key(7) == rows.family + b"7"
    assert uuid.UUID(int=1)
