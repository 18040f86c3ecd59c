from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_cachepatterns import keys
from django_cachepatterns.keys import KeySpace

family = KeySpace("cp").family("shop.product")


def test_keys_can_be_read() -> None:
    assert keys.row(family, 42) == b"cp:shop.product:42"
    assert keys.row(family, "a-1") == b"cp:shop.product:a-1"
    assert keys.lookup(family, ["slug"], ["shoe"]) == b"cp:shop.product:slug=shoe"
    assert keys.lookup(family, ["c", "sku"], [7, "x"]) == b"cp:shop.product:c=7&sku=x"
    assert KeySpace("cp", "acme").family("shop.product") == b"tenant:acme:cp:shop.product:"
    assert KeySpace("cp").family("shop.product", "other") == b"cp:shop.product@other:"


def test_odd_and_long_parts_are_hashed_whole() -> None:
    long = keys.row(family, "x" * 300)
    assert len(long) < 80
    assert long != keys.row(family, "x" * 299)
    assert keys.row(family, "a b").startswith(b"cp:shop.product:#")


@given(st.text(max_size=200), st.text(max_size=200))
def test_two_values_never_share_a_key(one: str, other: str) -> None:
    assert (keys.row(family, one) == keys.row(family, other)) == (one == other)


@given(st.text(max_size=100), st.text(max_size=100), st.text(max_size=100))
def test_no_row_has_the_key_of_a_lookup_or_of_the_tag(pk: str, slug: str, other: str) -> None:
    assert keys.row(family, pk) != keys.lookup(family, ["slug"], [slug])
    assert keys.row(family, pk) != keys.absences(family)
    assert keys.lookup(family, ["a", "b"], [slug, other]) != keys.lookup(family, ["a"], [slug])


@given(st.text(min_size=1, max_size=60))
def test_no_tenant_reaches_anothers_keys(tenant: str) -> None:
    own = KeySpace("cp", tenant).family("shop.product")
    if tenant != "acme":
        assert own != KeySpace("cp", "acme").family("shop.product")
    assert own != family


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Decimal("1.0"), Decimal("1.00")),
        (Decimal("100"), Decimal("1E+2")),
        (Decimal("-0"), Decimal("0")),
        (True, 1),
        (
            dt.datetime(2026, 1, 1, 1, tzinfo=dt.UTC),
            dt.datetime(2026, 1, 1, 2, tzinfo=dt.timezone(dt.timedelta(hours=1))),
        ),
        (b"a", memoryview(b"a")),
    ],
)
def test_what_the_database_calls_equal_has_one_key(one: Any, other: Any) -> None:
    assert keys.row(family, one) == keys.row(family, other)


def test_a_value_without_a_stable_text_is_refused() -> None:
    with pytest.raises(TypeError, match="object"):
        keys.row(family, object())
    assert keys.row(family, uuid.UUID(int=1)).endswith(b":00000000-0000-0000-0000-000000000001")


def test_a_long_decimal_is_not_rounded_and_an_enumeration_is_its_value() -> None:
    import enum

    class Color(str, enum.Enum):  # noqa: UP042 - the one whose text is not its value
        RED = "red"

    assert keys.row(family, Decimal(10**35 + 1)) != keys.row(family, Decimal(10**35 + 2))
    assert keys.row(family, Color.RED) == keys.row(family, "red")
