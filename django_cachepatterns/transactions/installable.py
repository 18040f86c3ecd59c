"""Write-through: what a transaction wrote is read again after its commit, and stored.

Storing it is a compare-and-set on the mark: it must be as it was before the row was read again,
with no writer in it but this one. So two writers can end in any order, and the newest row wins:
whoever leaves last, alone, has read what both have written.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from itertools import compress
from typing import Any

from .. import entry, metrics
from ..log_events import event
from ..stores import Store

logger = logging.getLogger("django_cachepatterns")

MOST = 100
"""Entries of one transaction that are stored again; those of a bulk write are dropped."""


class Installable(bytes):
    """The key of an entry that is to be stored again when its write is committed.

    Args:
        key: the key.
        asked: what the reader asks its source for.
        reader: gives the `Reader`, or `None` where there is none after all.
    """

    asked: Any
    reader: Callable[[], Any]

    def __new__(cls, key: bytes, asked: Any, reader: Callable[[], Any]) -> Installable:
        made = super().__new__(cls, key)
        made.asked, made.reader = asked, reader
        return made


def install(store: Store, keys: Sequence[Installable], writer: bytes) -> list[bytes]:
    """Store what a committed transaction wrote. Returns the keys that are still marked.

    Raises `StoreUnavailable`.
    """
    by_reader: dict[int, tuple[Any, list[tuple[Installable, bytes]]]] = {}
    left: list[bytes] = []
    for key, seen in zip(keys, store.get_many(keys), strict=True):
        reader = key.reader() if seen is not None and _is_alone(seen, writer) else None
        if reader is None or seen is None:
            left.append(key)
        else:
            by_reader.setdefault(id(reader), (reader, []))[1].append((key, seen))
    for reader, marked in by_reader.values():
        left += _install(store, reader, marked, writer)
    return left


def _install(
    store: Store, reader: Any, marked: Sequence[tuple[Installable, bytes]], writer: bytes
) -> list[bytes]:
    source = reader.source
    tags = list(dict.fromkeys(tag for key, _ in marked for tag in source.tags(key.asked)))
    fresh = entry.tag(entry.new_token())
    current = store.lease([], b"", 1, tags, fresh)[1] if tags else []
    versions = {
        tag: data[1:] for tag, data in zip(tags, current, strict=True) if entry.is_tag(data)
    }
    try:
        loaded = source.load([key.asked for key, _ in marked])
    except Exception:
        # The loader may be the user's: whatever it raises, the write is done, and stays done.
        extra = event("reload_failed", family=source.name)
        logger.exception("%s was written, but cannot be read again.", source.name, extra=extra)
        return [key for key, _ in marked]
    left: list[bytes] = []
    made: list[tuple[bytes, bytes, bytes, int]] = []
    for key, seen in marked:
        names = source.tags(key.asked)
        packed = None
        if loaded.publish and key.asked in loaded.values and all(tag in versions for tag in names):
            packed = reader.packed(
                key.asked,
                loaded.values[key.asked],
                store.epoch,
                tuple(versions[tag] for tag in names),
            )
        if packed is None:
            left.append(key)
        else:
            made.append((key, seen, *packed))
    if made:
        stored = store.install(
            [each[0] for each in made],
            [each[1] for each in made],
            writer,
            [each[2] for each in made],
            [each[3] for each in made],
        )
        metrics.count(source.name, "install", sum(stored))
        size = sum(len(each[2]) for each in compress(made, stored))
        metrics.count(source.name, "filled_bytes", size)
        metrics.count(source.name, "refused_install", len(stored) - sum(stored))
    return left


def _is_alone(mark: bytes, writer: bytes) -> bool:
    """Whether a mark has just one writer in it."""
    return (
        len(mark) == 1 + entry.WRITER_SIZE
        and mark[:1] == entry.MARK
        and mark[1 : 1 + entry.TOKEN_SIZE] == writer
    )
