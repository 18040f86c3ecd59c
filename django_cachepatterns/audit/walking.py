"""Walking over the keys of the server: by SCAN, some at a time, sorted into batches of one kind."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from ..inspection import names
from ..inspection.names import Name, UnknownKey, name_of
from ..stores import RedisInspector
from ..stores.redis import glob
from .checkers import attnames_in

BATCH = 500
"""Entries that are compared at once: one round trip and one query."""
MOST_WAITING = 20_000
"""Keys that wait for their batch to be full, of all kinds."""
STEP = 1000


class Kind(NamedTuple):
    """Entries that are compared together."""

    tenant: str | None
    kind: str
    label: str
    alias: str
    columns: tuple[str, ...]


def kind_of(name: Name) -> Kind:
    """With which others an entry is compared."""
    columns = attnames_in(name) if name.kind == names.LOOKUP else ()
    # Of functions, the key alone does not say which one it is.
    label = "" if name.kind == names.FUNCTION else name.label
    return Kind(name.tenant, name.kind, label, name.alias, columns)


class Walk:
    """One walk over all keys of a prefix.

    Args:
        inspector: of the server.
        prefix: the setting KEY_PREFIX.
        labels: of models, or names of values, to walk over; `None`: all.
        cursor: where to begin; `0`: from the start.
    """

    def __init__(
        self,
        inspector: RedisInspector,
        prefix: str,
        labels: Collection[str] | None,
        cursor: bytes = b"0",
    ) -> None:
        self._inspector, self._prefix, self._labels = inspector, prefix, labels
        self.cursor = cursor
        self.looked_at = 0
        self.is_complete = False
        self._begun_at_start = int(cursor) == 0

    def steps(self, count: int = STEP) -> Iterator[list[Name]]:
        """The keys of entries, some at a time; after each, `cursor` is where a walk may go on.

        Args:
            count: keys in one step, about.
        """
        pattern = b"*" + glob(self._prefix.encode()) + b":*"
        rounds = 1 if self._begun_at_start else 2
        while rounds:
            self.cursor, found = self._inspector.scan_for(pattern, self.cursor, count)
            self.looked_at += len(found)
            yield [name for name in map(self._entry, found) if name is not None]
            if int(self.cursor) == 0:
                rounds -= 1
        self.is_complete = True

    def _entry(self, key: bytes) -> Name | None:
        try:
            name = name_of(key, self._prefix)
        except UnknownKey:
            return None
        if name.kind not in names.ENTRIES:
            return None
        return name if self._labels is None or name.label in self._labels else None


def batches(steps: Iterable[list[Name]], size: int = BATCH) -> Iterator[tuple[Kind, list[Name]]]:
    """Keys in batches of one kind; each at most once in its batch, for SCAN may repeat itself."""
    waiting: dict[Kind, dict[Name, None]] = {}
    total = 0
    for step in steps:
        for name in step:
            some = waiting.setdefault(kind_of(name), {})
            total += name not in some
            some[name] = None
            if len(some) >= size:
                kind = kind_of(name)
                total -= len(some)
                yield kind, list(waiting.pop(kind))
        if total >= MOST_WAITING:
            yield from _all(waiting)
            total = 0
    yield from _all(waiting)


def _all(waiting: dict[Kind, dict[Name, None]]) -> Iterator[tuple[Kind, list[Name]]]:
    while waiting:
        kind, some = waiting.popitem()
        yield kind, list(some)
