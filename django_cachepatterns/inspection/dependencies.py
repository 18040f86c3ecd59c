"""Which tags an entry depends on, and whether they still have its versions.

The entries of rows, lookups and values say it by their source. A query's result holds versions and
no names: its tags are found by comparing versions, which are random.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from .. import conf, entry, keys
from ..invalidation import registry, versions
from ..reader import is_mark
from . import names
from .asking import asked_in
from .described import Dependency
from .families import function_of, values_of
from .names import Name


def candidates(name: Name, source: Any, data: bytes) -> list[bytes]:
    """The keys of the tags that an entry may depend on, of its own tenant."""
    return list(_rerooted(name, _candidates(name, source, data)))


def resolved(
    tags: Sequence[bytes],
    found: Sequence[bytes | None],
    wanted: Sequence[bytes],
    are_sure: bool,
) -> tuple[Dependency, ...]:
    """What an entry depends on.

    Args:
        tags: the candidates.
        found: their entries.
        wanted: the versions that it holds.
        are_sure: whether the candidates are its tags, in its order.
    """
    if are_sure and len(tags) == len(wanted):
        return tuple(map(_dependency, tags, found, wanted))
    by_version: dict[bytes, list[str]] = {}
    for key, data in zip(tags, found, strict=True):
        if data is not None and entry.is_tag(data):
            by_version.setdefault(data[1:], []).append(key.decode())
    # Tags that one load has made have the same version, so each stands for one and no more.
    return tuple(
        Dependency(known.pop(0), True)
        if (known := by_version.get(version))
        else Dependency(None, None)
        for version in wanted
    )


def _dependency(key: bytes, data: bytes | None, version: bytes) -> Dependency:
    written = data is not None and is_mark(data)
    return Dependency(key.decode(), data == entry.tag(version), written)


def is_sure(name: Name, source: Any) -> bool:
    """Whether `candidates` are just the tags of an entry, in its order."""
    if source is None:
        return False
    return name.kind in (names.ROW, names.LOOKUP) or _asked(name) is not None


def _candidates(name: Name, source: Any, data: bytes) -> Iterator[bytes]:
    if name.kind in (names.ROW, names.LOOKUP):
        if source is None:
            return
        if data[:1] == entry.NEGATIVE and source.tag is not None:
            yield source.tag
        own = source.version_tags if name.kind == names.ROW else source.tags(())
        yield from own
        return
    asked = None if source is None else _asked(name)
    if asked is not None:
        if data[:1] == entry.NEGATIVE and source.tag is not None:
            yield source.tag
        yield from asked.tags
        return
    space = conf.config().key_space()
    if name.kind == names.FRAGMENT:
        yield f"{space.root}:fragment:{name.label}~all".encode()
        texts = name.rest.split(":")[4:]
        if texts:
            yield f"{space.root}:fragment:{name.label}:{':'.join(texts)}~all".encode()
    if source is not None and getattr(source, "tag", None) is not None:
        yield source.tag
    function = function_of(data) if name.kind == names.FUNCTION else None
    if function is not None:
        yield from map(space.tag, function.fixed_tags)
    own_first = sorted(
        registry.tracked_models(), key=lambda each: each._meta.label_lower != name.label
    )
    for model in own_first:
        for table in versions.tables_of(model, name.database or "default"):
            yield table.tag
            for field in table.indexes:
                yield keys.every_index(table.family, field.attname)


def _asked(name: Name) -> Any:
    """What a value of this process is asked for by, where its key says so."""
    values = values_of(name) if name.kind == names.VALUE else None
    try:
        return None if values is None else values.asked(asked_in(name))
    except LookupError:
        return None


def _rerooted(name: Name, found: Iterator[bytes]) -> Iterator[bytes]:
    """The same of the key's own tenant, which may not be the present one."""
    own, there = f"{conf.config().key_space().root}:".encode(), f"{name.root}:".encode()
    for key in found:
        yield there + key.removeprefix(own)
