"""Which family a key counts for: what metrics, and people, call it by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import conf, entry, keys
from ..cache_aside import CachedFunction, cached_functions
from ..read_through import ReadThrough, named_values
from ..write_behind.registry import buffers
from . import names
from .names import Name

HEAD_SIZE = 18 + entry.REFRESH_SIZE
"""Bytes of an entry in which its fingerprint is, whether or not it is being refreshed."""


def family_of(name: Name, data: bytes | None = None) -> str:
    """The family of a key.

    Args:
        data: its entry, or the first `HEAD_SIZE` bytes of it: only that tells which function a
            key is of; without it, or where this process does not know the function, it is `fn`.

    What is kept beside an entry that is being loaded is of the entry's family.
    """
    if name.kind in (names.WAITING, names.WAKE):
        prefix = conf.config().values["KEY_PREFIX"]
        return family_of(names.name_of(name.key.rpartition("~")[0], prefix))
    if name.kind == names.QUERY:
        return f"{name.label}:list"
    if name.kind == names.FUNCTION:
        found = function_of(data)
        return "fn" if found is None else found.name
    if name.is_of_value:
        found_values = values_of(name)
        return name.label if found_values is None else found_values.name
    if name.kind == names.BUFFER:
        known = (each.name for each in buffers() if keys.part(each.name.lower()) == name.label)
        return next(known, name.label)
    if name.kind in (names.FRAGMENT, names.FRAGMENT_TAG):
        return f"fragment {name.label}"
    if name.kind in (names.TAG, names.METRICS, names.OTHER):
        return {names.TAG: "tags", names.METRICS: "metrics"}.get(name.kind, "other")
    return name.label


def function_of(data: bytes | None) -> CachedFunction[Any, Any] | None:
    """The function of this process that an entry is of, by its fingerprint."""
    print_ = fingerprint_in(data or b"")
    return None if print_ is None else _functions().get(print_)


def values_of(name: Name) -> ReadThrough | None:
    """The values of this process that a key is of."""
    return next(
        (each for known, each in named_values().items() if keys.part(known) == name.label), None
    )


def fingerprint_in(data: bytes) -> bytes | None:
    """The fingerprint of a value or negative entry, or of one that is being refreshed."""
    if data[:1] == entry.REFRESH:
        data = data[entry.REFRESH_SIZE :]
    if data[:1] in (entry.VALUE, entry.NEGATIVE) and data[1:2] == entry.FORMAT:
        return data[2:10]
    return None


def _functions() -> Mapping[bytes, CachedFunction[Any, Any]]:
    known = cached_functions()
    made: Mapping[bytes, CachedFunction[Any, Any]] = conf.config().remember(
        ("functions by fingerprint", *sorted((name, id(each)) for name, each in known.items())),
        lambda: {
            reader.source.fingerprint: each
            for each in known.values()
            if (reader := each.reader) is not None
        },
    )
    return made
