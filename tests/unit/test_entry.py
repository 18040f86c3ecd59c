from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.types.range import Range

from django_cachepatterns import entry
from django_cachepatterns.codecs import Codec, Column, kinds
from django_cachepatterns.codecs.json import JsonCodec
from django_cachepatterns.codecs.msgpack import MsgpackCodec
from django_cachepatterns.exceptions import CodecError
from django_cachepatterns.reader import is_mark
from django_cachepatterns.stampede.lease import is_lease

GOLDEN: dict[str, str] = json.loads(Path(__file__).with_name("golden_entries.json").read_text())

FINGERPRINT, EPOCH = b"shop.v01", bytes.fromhex("0123456789abcdef")
TOKEN, OTHER = bytes(range(16)), bytes(range(16, 32))


def header(state: bytes = entry.VALUE, *versions: bytes) -> entry.Header:
    return entry.Header(state, FINGERPRINT, EPOCH, 1_767_225_600_123, 4_321, versions)


ENTRIES: dict[str, bytes] = {
    "value": entry.pack(header(), b"payload"),
    "value that depends on two versions": entry.pack(header(entry.VALUE, TOKEN, OTHER), b"payload"),
    "value without soft expiry": entry.pack(header()._replace(soft_expiry=0), b"payload"),
    "value of a load that cost more than 71 minutes": entry.pack(
        header()._replace(cost=2**40), b"payload"
    ),
    "negative": entry.pack(header(entry.NEGATIVE, TOKEN)),
    "lease": entry.lease(TOKEN),
    "tag": entry.tag(TOKEN),
    "value that is being refreshed": entry.refresh_lease(TOKEN, 1_767_225_610_123)
    + entry.pack(header(entry.VALUE, OTHER), b"payload"),
    "mark of two writers": b"W" + TOKEN + b"1767225600123" + OTHER + b"1767225660000",
}

KINDS: dict[str, tuple[kinds.Kind, Any]] = {
    "int": (kinds.INT, -42),
    "big_int": (kinds.INT, 2**63 - 1),
    "float": (kinds.FLOAT, 0.1),
    "bool": (kinds.BOOL, True),
    "text": (kinds.TEXT, "Größe 46 👟\0"),
    "bytes": (kinds.BYTES, b"\x00\xff"),
    "decimal": (kinds.DECIMAL, Decimal("19.90")),
    "datetime": (kinds.DATETIME, datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)),
    "naive_datetime": (kinds.DATETIME, datetime(2026, 1, 2, 3, 4, 5)),  # noqa: DTZ001
    "date": (kinds.DATE, date(2026, 1, 2)),
    "time": (kinds.TIME, time(23, 59, 59, 999_999)),
    "duration": (kinds.DURATION, timedelta(days=-1, seconds=5, microseconds=7)),
    "uuid": (kinds.UUID_, UUID("12345678-1234-5678-1234-567812345678")),
    "list": (kinds.list_of(kinds.INT), [1, None, 3]),
    "list_of_lists": (kinds.list_of(kinds.list_of(kinds.DECIMAL)), [[Decimal("1.10")], None]),
    "null": (kinds.TEXT, None),
    "any_null": (kinds.ANY, None),
    "any_huge_int": (kinds.ANY, -(10**30)),
    "any_text": (kinds.ANY, "$text"),
    "any_bytes": (kinds.ANY, b"\x00\xff"),
    "any_decimal": (kinds.ANY, Decimal("-0.00")),
    "any_datetime": (kinds.ANY, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
    "any_datetime_with_an_offset": (
        kinds.ANY,
        datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=5, minutes=45))),
    ),
    "any_datetime_in_a_zone": (
        kinds.ANY,
        datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin")),
    ),
    "any_date": (kinds.ANY, date(2026, 1, 2)),
    "any_time": (kinds.ANY, time(1, 2, 3)),
    "any_duration": (kinds.ANY, timedelta(days=-1, microseconds=7)),
    "any_uuid": (kinds.ANY, UUID("12345678-1234-5678-1234-567812345678")),
    "any_memoryview": (kinds.ANY, memoryview(b"\x00\xff")),
    "any_range": (kinds.ANY, Range(Decimal("1.5"), None, "[)")),
    "any_empty_range": (kinds.ANY, Range(empty=True)),
    "any_tuple": (kinds.ANY, (1.5, (2.5, None))),
    "any_list": (kinds.ANY, [1, "two", [Decimal(3)]]),
    "any_dict": (kinds.ANY, {"$decimal": {"1": [True, None]}}),
}
COLUMNS = [Column(name, kind) for name, (kind, _) in KINDS.items()]
ROW = [value for _, value in KINDS.values()]
CODECS: dict[str, Callable[[Sequence[Column]], Codec]] = {
    "msgpack": MsgpackCodec,
    "json": JsonCodec,
}


def written() -> dict[str, str]:
    """Every frozen entry, as this code writes it."""
    rows = {f"{name} row of every kind": new(COLUMNS).encode(ROW) for name, new in CODECS.items()}
    packed = {name: entry.pack(header(), payload) for name, payload in rows.items()}
    return {name: data.hex() for name, data in (ENTRIES | packed).items()}


def same(one: Any, other: Any) -> bool:
    """Whether two values are of the same types, and equal to the last digit."""
    if type(one) is not type(other):
        return False
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return same([*one], [*other]) and same([*one.values()], [*other.values()])
    if isinstance(one, memoryview):
        return one.tobytes() == other.tobytes()
    return repr(one) == repr(other)


# The frozen format


@pytest.mark.parametrize("name", GOLDEN)
def test_entries_are_written_as_they_always_were(name: str) -> None:
    assert written()[name] == GOLDEN[name]


def test_every_entry_is_frozen() -> None:
    assert written().keys() == GOLDEN.keys()


def test_every_kind_of_column_is_frozen() -> None:
    known = {kind.name for kind in vars(kinds).values() if isinstance(kind, kinds.Kind)}
    assert known <= {kind.name for kind, _ in KINDS.values()}


@pytest.mark.parametrize("name", [name for name in GOLDEN if GOLDEN[name][:2] in ("56", "4e")])
def test_frozen_values_can_still_be_read(name: str) -> None:
    data = bytes.fromhex(GOLDEN[name])
    parts = entry.unpack(data)
    assert parts is not None
    assert entry.pack(*parts) == data
    assert (parts[0].fingerprint, parts[0].epoch) == (FINGERPRINT, EPOCH)
    assert data.startswith(entry.head(parts[0].state, FINGERPRINT, EPOCH))
    assert entry.payload_of(data) == parts[1]


@pytest.mark.parametrize("name", CODECS)
def test_frozen_rows_can_still_be_read(name: str) -> None:
    payload = entry.payload_of(bytes.fromhex(GOLDEN[f"{name} row of every kind"]))
    row = CODECS[name](COLUMNS).decode(payload)
    assert [*row] == [*KINDS]
    for column, was in zip(COLUMNS, ROW, strict=True):
        assert same(was, row[column.name]), column.name


def test_frozen_marks_leases_and_tags_can_still_be_read() -> None:
    mark, lease, tag = (
        bytes.fromhex(GOLDEN[name]) for name in ("mark of two writers", "lease", "tag")
    )
    assert is_mark(mark)
    assert entry.writers_of(mark) == [(TOKEN, 1_767_225_600_123), (OTHER, 1_767_225_660_000)]
    assert is_lease(lease)
    assert tag == entry.TAG + TOKEN


def test_a_frozen_refresh_can_still_be_read() -> None:
    data = bytes.fromhex(GOLDEN["value that is being refreshed"])
    deadline, value = entry.being_refreshed(data)
    assert data[:1] == entry.REFRESH
    assert data[1 : 1 + entry.TOKEN_SIZE] == TOKEN
    assert deadline == 1_767_225_610_123
    assert entry.payload_of(value) == b"payload"
    assert entry.versions_of(value) == OTHER
    assert entry.soft_expiry_and_cost(value) == (1_767_225_600_123, 4_321)


def test_a_refresh_is_no_value_by_itself() -> None:
    data = ENTRIES["value that is being refreshed"]
    assert entry.unpack(data) is None
    assert not is_mark(data)
    assert not is_lease(data)
    assert not is_lease(data[: 1 + entry.TOKEN_SIZE])


def test_an_entry_of_another_format_is_not_one() -> None:
    data = bytearray(ENTRIES["value"])
    data[1] += 1
    assert entry.unpack(bytes(data)) is None


# Round trips

tokens = st.binary(min_size=16, max_size=16)
headers = st.builds(
    entry.Header,
    state=st.sampled_from([entry.VALUE, entry.NEGATIVE]),
    fingerprint=st.binary(min_size=8, max_size=8),
    epoch=st.binary(min_size=8, max_size=8),
    soft_expiry=st.integers(0, 2**64 - 1),
    cost=st.integers(0, 2**32 - 1),
    versions=st.lists(tokens, max_size=300).map(tuple),
)


@given(headers, st.binary())
def test_what_is_packed_is_unpacked(header: entry.Header, payload: bytes) -> None:
    data = entry.pack(header, payload)
    assert entry.unpack(data) == (header, payload)
    assert entry.payload_of(data) == payload


@given(headers, st.binary())
def test_the_short_ways_read_what_the_long_one_does(header: entry.Header, payload: bytes) -> None:
    data = entry.pack(header, payload)
    assert entry.soft_expiry_and_cost(data) == (header.soft_expiry, header.cost)
    assert entry.versions_of(data) == b"".join(header.versions)


@given(tokens, st.integers(0, 2**64 - 1), headers, st.binary())
def test_the_value_behind_a_refresh_is_read_back(
    token: bytes, deadline: int, header: entry.Header, payload: bytes
) -> None:
    value = entry.pack(header, payload)
    data = entry.refresh_lease(token, deadline) + value
    assert len(data) == entry.REFRESH_SIZE + len(value)
    assert entry.being_refreshed(data) == (deadline, value)


def test_tokens_differ() -> None:
    drawn = {entry.new_token() for _ in range(1000)}
    assert len(drawn) == 1000
    assert {len(token) for token in drawn} == {entry.TOKEN_SIZE}


# No database's driver gives a fold to what has no zone.
times = st.times().map(lambda value: value.replace(fold=0))
datetimes = st.datetimes(timezones=st.none() | st.just(UTC)).map(
    lambda value: value.replace(fold=0)
)
plain = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(st.characters(codec="utf-8")),
    st.binary(),
    st.decimals(allow_nan=False),
    st.dates(),
    datetimes,
    times,
    st.timedeltas(),
    st.uuids(),
)
anything = st.recursive(
    plain,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3)
    ),
    max_leaves=8,
)


@pytest.mark.parametrize("name", CODECS)
@given(value=anything)
def test_any_value_comes_back_as_it_was(name: str, value: Any) -> None:
    codec = CODECS[name]([Column("value", kinds.ANY)])
    assert same(codec.decode(codec.encode([value])), {"value": value})


BY_KIND: list[tuple[kinds.Kind, st.SearchStrategy[Any]]] = [
    (kinds.INT, st.integers(-(2**63), 2**63 - 1)),
    (kinds.FLOAT, st.floats(allow_nan=False)),
    (kinds.BOOL, st.booleans()),
    (kinds.TEXT, st.text(st.characters(codec="utf-8"))),
    (kinds.BYTES, st.binary()),
    (kinds.DECIMAL, st.decimals(allow_nan=False, allow_infinity=False)),
    (kinds.DATETIME, datetimes),
    (kinds.DATE, st.dates()),
    (kinds.TIME, times),
    (kinds.DURATION, st.timedeltas()),
    (kinds.UUID_, st.uuids()),
    (kinds.list_of(kinds.DATE), st.lists(st.none() | st.dates())),
]


@pytest.mark.parametrize("name", CODECS)
@given(data=st.data())
def test_typed_columns_come_back_as_they_were(name: str, data: st.DataObject) -> None:
    columns = [Column(f"column_{at}", kind) for at, (kind, _) in enumerate(BY_KIND)]
    row = data.draw(st.tuples(*(st.none() | values for _, values in BY_KIND)))
    codec = CODECS[name](columns)
    assert same([*codec.decode(codec.encode(row)).values()], [*row])


@pytest.mark.parametrize("name", CODECS)
@given(values=st.lists(anything, max_size=3))
def test_a_page_is_decoded_as_its_rows_are(name: str, values: list[Any]) -> None:
    codec = CODECS[name]([Column("value", kinds.ANY)])
    payloads = [codec.encode([value]) for value in values]
    assert same(codec.decode_many(payloads), [codec.decode(payload) for payload in payloads])


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("value", [object(), {object()}, [object()]])
def test_what_cannot_be_carried_is_a_codec_error(name: str, value: Any) -> None:
    with pytest.raises(CodecError):
        CODECS[name]([Column("value", kinds.ANY)]).encode([value])


@pytest.mark.parametrize("name", CODECS)
def test_text_that_is_no_unicode_is_a_codec_error(name: str) -> None:
    with pytest.raises(CodecError):
        CODECS[name]([Column("value", kinds.ANY)]).encode(["half a pair: \ud800"])


# Garbage


@given(st.binary())
def test_garbage_is_no_entry(data: bytes) -> None:
    parts = entry.unpack(data)
    if parts is not None:
        assert entry.pack(*parts) == data


@pytest.mark.parametrize("name", GOLDEN)
def test_a_truncated_entry_is_none_or_has_less_payload(name: str) -> None:
    whole = bytes.fromhex(GOLDEN[name])
    needed = len(whole) - len((entry.unpack(whole) or (None, b""))[1])
    for size in range(len(whole)):
        parts = entry.unpack(whole[:size])
        assert (parts is None) == (size < needed or whole[:1] not in b"VN"), size


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("size", range(18, 64))
def test_the_payload_of_a_truncated_entry_is_no_row(name: str, size: int) -> None:
    """The hit path looks at the first 18 bytes only."""
    data = entry.pack(header(entry.VALUE, TOKEN), CODECS[name](COLUMNS).encode(ROW))
    codec = CODECS[name](COLUMNS)
    with pytest.raises(CodecError):
        codec.decode(entry.payload_of(data[:size]))


def decodes_or_refuses(codec: Codec, payload: bytes) -> None:
    with suppress(CodecError):
        codec.decode(payload)


@pytest.mark.parametrize("name", CODECS)
@given(payload=st.binary())
def test_garbage_is_a_codec_error(name: str, payload: bytes) -> None:
    decodes_or_refuses(CODECS[name](COLUMNS), payload)
    decodes_or_refuses(CODECS[name]([Column("value", kinds.ANY)]), payload)


@pytest.mark.parametrize("name", CODECS)
@given(data=st.data())
def test_a_damaged_row_is_a_codec_error(name: str, data: st.DataObject) -> None:
    codec = CODECS[name](COLUMNS)
    payload = bytearray(codec.encode(ROW))
    at = data.draw(st.integers(0, len(payload) - 1))
    size = data.draw(st.integers(0, 4))
    payload[at : at + size] = data.draw(st.binary(max_size=4))
    decodes_or_refuses(codec, bytes(payload))


def ext(code: int, body: bytes) -> bytes:
    """A MessagePack row of one extension value."""
    return b"\x91\xc7" + bytes([len(body), code]) + body


DAMAGED = {
    "msgpack": {
        "decimal": ext(2, b"nine"),
        "unknown zone": ext(3, b"2026-01-01T00:00:00|0|Mars/Olympus"),
        "date": ext(4, b"2026-02-30"),
        "duration out of range": ext(6, b"99999999999,0,0"),
        "duration of one number": ext(6, b"1"),
        "uuid": ext(7, b"zz"),
        "range of one part": ext(9, b"\x91\x01"),
        "range of a number": ext(9, b"\x05"),
        "tuple of a number": ext(10, b"\x05"),
        "unknown type": ext(99, b""),
        "nested too deeply": b"\x91" * 100_000,
    },
    "json": {
        "decimal": b'{"value":{"$decimal":"nine"}}',
        "unknown zone": b'{"value":{"$datetime":"2026-01-01T00:00:00|0|Mars/Olympus"}}',
        "datetime of a number": b'{"value":{"$datetime":5}}',
        "duration of a number": b'{"value":{"$duration":5}}',
        "uuid of a number": b'{"value":{"$uuid":5}}',
        "range of a number": b'{"value":{"$range":5}}',
        "unknown type": b'{"value":{"$mystery":5}}',
        "two keys": b'{"value":{"$uuid":5,"$date":6}}',
        "unhashable key": b'{"value":{"$dict":[[[],1]]}}',
        "list": b"[]",
        "nested too deeply": b'{"value":' + b"[" * 100_000,
    },
}


@pytest.mark.parametrize(
    ("name", "what"), [(name, what) for name, cases in DAMAGED.items() for what in cases]
)
def test_damage_that_chance_rarely_finds_is_a_codec_error(name: str, what: str) -> None:
    codec = CODECS[name]([Column("value", kinds.ANY)])
    with pytest.raises(CodecError):
        codec.decode(DAMAGED[name][what])


@given(st.binary())
def test_garbage_is_neither_a_mark_nor_a_lease_unless_it_has_the_form_of_one(data: bytes) -> None:
    if is_mark(data):
        assert data[:1] == entry.MARK
        assert (len(data) - 1) % entry.WRITER_SIZE == 0
    if is_lease(data):
        assert data[:1] == entry.LEASE


@given(st.lists(st.tuples(tokens, st.integers(0, 10**13 - 1)), min_size=1, max_size=40))
def test_the_writers_of_a_mark_are_read_back(writers: list[tuple[bytes, int]]) -> None:
    mark = entry.MARK + b"".join(writer + b"%013d" % deadline for writer, deadline in writers)
    assert is_mark(mark)
    assert entry.writers_of(mark) == writers
