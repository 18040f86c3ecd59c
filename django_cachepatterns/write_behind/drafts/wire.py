"""The values of drafts as bytes in a buffer, and as text in a dead letter.

A value comes with the moment at which it was saved. It is what the database gets, as data: the text
of a JSON column, or what MessagePack carries with the type of each value.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

from ...codecs import Column, codec_for, kinds
from ...exceptions import CodecError


class Json(NamedTuple):
    """A value of a JSON column, as its text."""

    text: str


class Saved(NamedTuple):
    """A value and when it was saved, in microseconds since 1970 by its writer's clock."""

    at: int
    value: Any


_JSON, _ANY = b"j", b"m"
_AT = struct.Struct(">Q")
_codec = codec_for("msgpack", [Column("value", kinds.ANY)])


def encode(saved: Saved) -> bytes:
    """The bytes of a value. Raises `CodecError` for one that cannot be carried."""
    at = _AT.pack(saved.at)
    if not isinstance(saved.value, Json):
        return at + _ANY + _codec.encode([saved.value])
    try:
        return at + _JSON + saved.value.text.encode()
    except UnicodeError as error:
        raise CodecError(str(error)) from error


def decode(raw: bytes) -> Saved:
    """The value of some bytes. Raises `CodecError` where they are none: what another version of the
    library has put there.
    """
    kind, body = raw[8:9], raw[9:]
    try:
        (at,) = _AT.unpack(raw[:8])
        if kind == _ANY:
            return Saved(at, _codec.decode(body)["value"])
        if kind == _JSON:
            return Saved(at, Json(body.decode()))
    except (UnicodeError, struct.error) as error:
        raise CodecError(f"no value of a draft: {error}") from error
    raise CodecError(f"no value of a draft begins with {kind!r}")


def to_text(row: Mapping[str, Saved]) -> str:
    """The values of a row as JSON that people can read."""
    values = {name: {"at": saved.at, **_readable(saved.value)} for name, saved in row.items()}
    text = json.dumps(values, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # Half of a pair, which no text of a database may hold.
        return json.dumps(values)
    return text


def from_text(text: str) -> dict[str, Saved]:
    """The values of such a text. Raises `ValueError` where it is none."""
    try:
        return {name: Saved(each["at"], _value(each)) for name, each in json.loads(text).items()}
    except (KeyError, TypeError, AttributeError, CodecError) as error:
        raise ValueError(f"not the values of a draft: {error!r}") from error


def _readable(value: Any) -> dict[str, Any]:
    if isinstance(value, Json):
        return {"json": json.loads(value.text)}
    encoded: dict[str, Any] = json.loads(_text_codec.encode([value]))
    return encoded


def _value(each: Mapping[str, Any]) -> Any:
    if "json" in each:
        return Json(json.dumps(each["json"]))
    return _text_codec.decode(json.dumps({"value": each["value"]}).encode())["value"]


_text_codec = codec_for("json", [Column("value", kinds.ANY)])
