"""Rows of kinds that were seen before are encoded without a look at each value; not too boldly."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from django_cachepatterns.codecs import Column, codec_for
from django_cachepatterns.codecs.kinds import ANY, DATETIME, INT, TEXT, list_of
from django_cachepatterns.exceptions import CodecError

MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def codec(*kinds: Any) -> Any:
    return codec_for("msgpack", [Column(f"c{at}", kind) for at, kind in enumerate(kinds)])


def test_rows_of_the_same_types_come_back_the_same() -> None:
    made = codec(INT, TEXT, DATETIME)
    for row in [(1, "a", MOMENT), (2, "b", MOMENT), (3, None, MOMENT), (4, "c", None)] * 2:
        assert tuple(made.decode(made.encode(row)).values()) == row


def test_another_type_is_refused_after_rows_that_were_right() -> None:
    made = codec(INT, TEXT)
    made.encode((1, "a"))
    made.encode((1, "a"))
    with pytest.raises(CodecError, match="c0"):
        made.encode((True, "a"))


def test_another_time_zone_is_refused_after_rows_that_were_right() -> None:
    made = codec(DATETIME)
    made.encode((MOMENT,))
    with pytest.raises(CodecError, match="c0"):
        made.encode((MOMENT.astimezone(timezone(timedelta(hours=2))),))


@pytest.mark.parametrize("value", [2**64, "\ud800"])
def test_what_cannot_be_written_is_refused_after_rows_that_were_right(value: Any) -> None:
    made = codec(INT if isinstance(value, int) else TEXT)
    made.encode((1,) if isinstance(value, int) else ("a",))
    with pytest.raises(CodecError):
        made.encode((value,))


def test_lists_and_untyped_values_are_looked_at_each_time() -> None:
    made = codec(list_of(INT))
    made.encode(([1, 2],))
    with pytest.raises(CodecError):
        made.encode((["a"],))
    made = codec(ANY)
    made.encode(([1],))
    assert made.decode(made.encode(([MOMENT],))) == {"c0": [MOMENT]}


def test_a_row_of_too_few_columns_is_a_mistake() -> None:
    made = codec(INT, TEXT)
    made.encode((1, "a"))
    with pytest.raises(CodecError, match="zip"):
        made.encode((1,))
