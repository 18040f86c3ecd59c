"""Codecs: a row's column values to bytes and back, without changing one of them.

A codec is made once per table from its columns and offers `encode(values) -> bytes` and
`decode(payload) -> dict of values by column name`. Both raise `CodecError`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from typing import Any, NamedTuple, Protocol

from .kinds import Kind

__all__ = ["Codec", "Column", "codec_for"]


class Column(NamedTuple):
    """One column: its name (the model's attname) and the kind of value it gives."""

    name: str
    kind: Kind


class Codec(Protocol):
    """What a codec offers."""

    def encode(self, values: Iterable[Any]) -> bytes:
        """The bytes of a row. Raises `CodecError` where a value would come back changed."""

    def decode(self, payload: bytes) -> dict[str, Any]:
        """The row of some bytes, a dict of the caller's own with the columns in their order.

        Raises `CodecError` where they are not one.
        """

    def decode_many(self, payloads: Sequence[bytes]) -> list[dict[str, Any]]:
        """The rows of several payloads, as quickly as it can. Raises `CodecError` for any."""


BUILT_IN = {
    "msgpack": "django_cachepatterns.codecs.msgpack.MsgpackCodec",
    "json": "django_cachepatterns.codecs.json.JsonCodec",
}


def codec_for(name: str, columns: Sequence[Column]) -> Codec:
    """A codec by its name or by the dotted path of a callable that takes the columns.

    Raises `ImportError` where there is none.
    """
    module, _, attribute = BUILT_IN.get(name, name).rpartition(".")
    if not module:
        raise ImportError(f"{name!r} is neither {' nor '.join(BUILT_IN)} nor a dotted path")
    factory: Callable[[Sequence[Column]], Codec]
    try:
        factory = getattr(import_module(module), attribute)
    except AttributeError as error:
        raise ImportError(f"{module} has no {attribute!r}") from error
    return factory(columns)
