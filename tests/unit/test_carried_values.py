"""What functions give back, as bytes: the kinds that no column has."""

from __future__ import annotations

from collections import OrderedDict
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

import pytest

from django_cachepatterns.codecs import Codec, Column, codec_for
from django_cachepatterns.codecs.kinds import ANY
from django_cachepatterns.exceptions import CodecError

FROZEN = {
    "msgpack": [
        (
            {
                1,
            },
            "91d50b9101",
        ),
        (frozenset({"a"}), "91c7030c91a161"),
        ({date(2026, 1, 2): 1}, "91d80d9192c70a04323032362d30312d303201"),
        ({"a": 1}, "9181a16101"),
    ],
    "json": [
        (
            {
                1,
            },
            '{"value":{"$set":[1]}}',
        ),
        (frozenset({"a"}), '{"value":{"$frozenset":["a"]}}'),
        ({date(2026, 1, 2): 1}, '{"value":{"$dict":[[{"$date":"2026-01-02"},1]]}}'),
    ],
}


@pytest.fixture(params=["msgpack", "json"])
def codec(request: Any) -> Codec:
    return codec_for(request.param, [Column("value", ANY)])


@pytest.mark.parametrize(
    "value",
    [
        None,
        {(1, "a"): 3, None: 1, True: 2, 1.5: 3, b"x": 4, date(2026, 1, 1): {UUID(int=1): 5}},
        {Decimal("1.50"): [1], 2**70: ()},
        {1, 2, (3, frozenset({4}))},
        [[], {}, set(), (), frozenset()],
        {"a": {"$dict": 1, "$set": [2]}},
        frozenset({datetime(2026, 1, 1, tzinfo=UTC)}),
        ([{"id": 1, "price": Decimal("9.90"), "tags": {"a", "b"}}] * 3,),
    ],
)
def test_values_come_back_as_they_were(codec: Codec, value: Any) -> None:
    found = codec.decode(codec.encode([value]))["value"]
    assert found == value
    assert type(found) is type(value)


class Word(StrEnum):
    A = "a"


class Text(str): ...


def looped() -> Any:
    loop: list[Any] = []
    loop.append(loop)
    return loop


@pytest.mark.parametrize(
    "value",
    [
        object(),
        [object()],
        {"a": {1, Word.A}},
        Word.A,
        Text("a"),
        OrderedDict(a=1),
        looped(),
        "\ud800",
        ("\ud800",),
        {"\ud800": 1},
        [10**5000],
        iter([1]),
        (each for each in [1]),
    ],
)
def test_what_would_come_back_changed_is_refused(codec: Codec, value: Any) -> None:
    with pytest.raises(CodecError):
        codec.encode([value])


@pytest.mark.parametrize("name", ["msgpack", "json"])
def test_the_format_is_frozen(name: str) -> None:
    codec = codec_for(name, [Column("value", ANY)])
    for value, written in FROZEN[name]:
        frozen = bytes.fromhex(written) if name == "msgpack" else written.encode()
        assert codec.encode([value]) == frozen
        assert codec.decode(frozen)["value"] == value
