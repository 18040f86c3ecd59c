"""MessagePack rows through msgspec: one array, decoded at C speed into the columns' types."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, time
from typing import Any

import msgspec
from msgspec.msgpack import Decoder, Encoder, Ext
from msgspec.structs import asdict

from ..exceptions import CodecError
from . import Column, tagged

MOST_SEEN = 1000
"""Kinds of rows, by the types of their values, that are remembered to be right."""
_PLAIN = frozenset({type(None), bool, float, str, bytes})
_encoder = Encoder(decimal_format="string", uuid_format="bytes")


class MsgpackCodec:
    """The default codec.

    Args:
        columns: the row's columns, in order.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = list(columns)
        row = msgspec.defstruct(
            "Row",
            [(column.name, column.kind.annotation()) for column in columns],
            array_like=True,
            gc=False,
        )
        self._decode: Callable[[bytes], msgspec.Struct] = Decoder(row, ext_hook=_from_ext).decode
        kinds = [column.kind for column in columns]
        # Where a value's type says it all, rows of the same types need no second look.
        self._is_typed = all(kind.type is not None and kind.item is None for kind in kinds)
        self._zoned = [
            (at, kind.accepts) for at, kind in enumerate(kinds) if kind.type in (datetime, time)
        ]
        self._seen: set[tuple[type[Any], ...]] = set()

    def encode(self, values: Iterable[Any]) -> bytes:
        """See `Codec`."""
        try:
            row = tuple(values)
            types = tuple(map(type, row))
            if types in self._seen and all(accepts(row[at]) for at, accepts in self._zoned):
                return _encoder.encode(row)
            pairs = zip(row, self._columns, strict=True)
            data = _encoder.encode([_carried(value, column) for value, column in pairs])
        except tagged.UNWRITABLE as error:
            raise CodecError(str(error)) from error
        if self._is_typed and len(self._seen) < MOST_SEEN:
            self._seen.add(types)
        return data

    def decode(self, payload: bytes) -> dict[str, Any]:
        """See `Codec`."""
        try:
            return asdict(self._decode(payload))
        except (msgspec.MsgspecError, *tagged.DAMAGE) as error:
            raise CodecError(str(error)) from error

    def decode_many(self, payloads: Sequence[bytes]) -> list[dict[str, Any]]:
        """See `Codec`. A page of hits waits for this."""
        decode = self._decode
        try:
            return [asdict(decode(payload)) for payload in payloads]
        except (msgspec.MsgspecError, *tagged.DAMAGE) as error:
            raise CodecError(str(error)) from error


def _carried(value: Any, column: Column) -> Any:
    """A value as it is encoded. Raises `CodecError` where it would not come back the same."""
    if column.kind.type is None:
        return _to_wire(value)
    if not column.kind.accepts(value):
        raise CodecError(
            f"column {column.name!r} gave a {type(value).__name__} where its type promises "
            f"{column.kind.name}"
        )
    return value


def _to_wire(value: Any) -> Any:
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is int and -(2**63) <= value < 2**63:
        return value
    if kind is list:
        return [_to_wire(each) for each in value]
    if kind is dict:
        return _dict_to_wire(value)
    group = tagged.GROUPS.get(kind)
    if group is not None:
        return Ext(group.code, _encoder.encode([_to_wire(each) for each in value]))
    tag = tagged.TAGS.get(kind)
    if tag is not None:
        return Ext(tag.code, tag.to_text(value).encode())
    parts = tagged.range_parts(value)
    if parts is not None:
        return Ext(tagged.RANGE_CODE, _encoder.encode([_to_wire(each) for each in parts]))
    raise tagged.refuse(value)


def _dict_to_wire(value: dict[Any, Any]) -> Any:
    keys = list(map(_to_wire, value))
    values = map(_to_wire, value.values())
    if any(type(key) is Ext for key in keys):  # A map of MessagePack's has plain keys.
        pairs = [list(pair) for pair in zip(keys, values, strict=True)]
        return Ext(tagged.PAIRS_CODE, _encoder.encode(pairs))
    return dict(zip(keys, values, strict=True))


def _from_ext(code: int, data: memoryview) -> Any:
    if code == tagged.RANGE_CODE:
        return tagged.range_of(*_any_decoder.decode(data))
    if code == tagged.PAIRS_CODE:
        return dict(_any_decoder.decode(data))
    group = tagged.GROUP_BY_CODE.get(code)
    if group is not None:
        return group.make(_any_decoder.decode(data))
    tag = tagged.BY_CODE.get(code)
    if tag is None:
        raise CodecError(f"no type has the code {code}")
    return tag.from_text(str(data, "utf-8"))


_any_decoder = Decoder(ext_hook=_from_ext)
