"""JSON rows, for people who want to read what is in the cache.

One object of column names. What JSON lacks is an object of one key that starts with `$`, such
as `{"$decimal": "9.90"}`. Slower than MessagePack: every value is looked at in Python.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterable, Sequence
from typing import Any

from ..exceptions import CodecError
from . import Column, tagged

_PLAIN = frozenset({type(None), bool, int, float, str})


class JsonCodec:
    """The readable codec.

    Args:
        columns: the row's columns, in order.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        self._names = [column.name for column in columns]

    def encode(self, values: Iterable[Any]) -> bytes:
        """See `Codec`."""
        pairs = zip(self._names, values, strict=True)
        try:
            row = {name: _to_json(value) for name, value in pairs}
            return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
        except tagged.UNWRITABLE as error:
            raise CodecError(str(error)) from error

    def decode(self, payload: bytes) -> dict[str, Any]:
        """See `Codec`."""
        try:
            row = json.loads(bytes(payload))
            return {name: _from_json(row[name]) for name in self._names}
        except tagged.DAMAGE as error:
            raise CodecError(f"not a row of {', '.join(self._names)}: {error!r}") from error

    def decode_many(self, payloads: Sequence[bytes]) -> list[dict[str, Any]]:
        """See `Codec`."""
        return [self.decode(payload) for payload in payloads]


def _to_json(value: Any) -> Any:
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is list:
        return [_to_json(each) for each in value]
    if kind is dict:
        return {"$dict": [[_to_json(key), _to_json(each)] for key, each in value.items()]}
    if kind is bytes:
        return {"$bytes": b64encode(value).decode()}
    group = tagged.GROUPS.get(kind)
    if group is not None:
        return {"$" + group.name: [_to_json(each) for each in value]}
    tag = tagged.TAGS.get(kind)
    if tag is not None:
        return {"$" + tag.name: tag.to_text(value)}
    parts = tagged.range_parts(value)
    if parts is not None:
        return {"$" + tagged.RANGE_NAME: [_to_json(each) for each in parts]}
    raise tagged.refuse(value)


def _from_json(value: Any) -> Any:
    if type(value) is list:
        return [_from_json(each) for each in value]
    if type(value) is not dict:
        return value
    ((name, inner),) = value.items()
    if name == "$dict":
        return {_from_json(key): _from_json(each) for key, each in inner}
    if name == "$bytes":
        return b64decode(inner, validate=True)
    group = tagged.GROUP_BY_NAME.get(name[1:])
    if group is not None:
        return group.make(_from_json(each) for each in inner)
    if name == "$" + tagged.RANGE_NAME:
        return tagged.range_of(*map(_from_json, inner))
    return tagged.BY_NAME[name[1:]].from_text(inner)
