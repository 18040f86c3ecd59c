"""Whether a cached value is the database's, and where they differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.db.models import Model

from ..exceptions import CodecError
from ..inspection.plain import plain
from ..inspection.secrets import STARS, is_secret_of
from .report import Difference

SHOWN = 200
"""Characters of a value that are shown."""


def is_same(source: Any, payload: bytes, loaded: Any) -> bool:
    """Whether a payload is what a load gave. Raises `CodecError` where it cannot be decoded."""
    try:
        if source.encode(loaded) == payload:
            return True
    except CodecError:
        pass  # Such a value is never cached: it is another one, or this process knows no codec.
    return not list(_differing(source.decode(payload), as_cached(source, loaded)))


def as_cached(source: Any, loaded: Any) -> Any:
    """A loaded value as it would come out of the cache."""
    try:
        return source.decode(source.encode(loaded))
    except CodecError:
        return loaded


def differences(source: Any, payload: bytes, loaded: Any) -> tuple[Difference, ...]:
    """Where they differ, for people."""
    model = getattr(source, "model", None)
    return tuple(
        Difference(name, shown(name, cached, model), shown(name, found, model))
        for name, cached, found in _differing(source.decode(payload), as_cached(source, loaded))
    )


def shown(name: str, value: Any, model: type[Model] | None = None) -> str:
    """A value as short text; stars where the name is one of a secret."""
    if is_secret_of(model, name) and value is not None:
        return STARS
    text = repr(plain(value))
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}... ({len(text)} characters)"


def _differing(cached: Any, found: Any) -> Iterator[tuple[str, Any, Any]]:
    if not (isinstance(cached, Mapping) and isinstance(found, Mapping)):
        if not _equal(cached, found):
            yield "value", cached, found
        return
    for name in dict.fromkeys((*cached, *found)):
        one, other = cached.get(name, _NOTHING), found.get(name, _NOTHING)
        if not _equal(one, other):
            yield str(name), one, other


def _equal(one: Any, other: Any) -> bool:
    # NaN is not equal to itself, in whatever depth; its text is.
    return type(one) is type(other) and (one == other or repr(one) == repr(other))


class _Nothing:
    def __repr__(self) -> str:
        return "nothing"


_NOTHING = _Nothing()
