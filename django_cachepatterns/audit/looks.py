"""Looks at entries: what each holds, and whether a reader would be served it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from .. import entry
from ..inspection.names import Name
from ..reader import is_mark
from ..reader.entries import is_current
from ..stampede.lease import is_lease
from ..stores.base import Store
from . import outcomes


class Asked(NamedTuple):
    """An entry that is audited.

    Args:
        name: its key.
        asked: what its source is asked for.
    """

    name: Name
    asked: Any

    @property
    def key(self) -> bytes:
        """Its key."""
        return self.name.raw


@dataclass(frozen=True, slots=True)
class Seen:
    """What an entry was at one moment.

    Args:
        data: its bytes.
        tags: the entries of the tags that it depends on, at the same moment.
        payload: of what readers are served; `None`: that it does not exist.
    """

    data: bytes
    tags: tuple[bytes | None, ...]
    payload: bytes | None


def look(
    store: Store, source: Any, asked: Sequence[Asked]
) -> tuple[dict[Asked, Seen], dict[Asked, str]]:
    """What readers are served now, in one round trip, and why they are not of the others.

    Raises `StoreUnavailable`.
    """
    keys = [each.key for each in asked]
    tags = {each: tuple(source.tags(each.asked)) for each in asked}
    if source.tag is not None:
        tags = {each: (source.tag, *some) for each, some in tags.items()}
    names = list(dict.fromkeys(name for some in tags.values() for name in some))
    found = store.get_many([*keys, *names])
    current = dict(zip(names, found[len(keys) :], strict=True))
    seen: dict[Asked, Seen] = {}
    why: dict[Asked, str] = {}
    for each, data in zip(asked, found, strict=False):
        own = tuple(current[name] for name in tags[each])
        judged = judge(source, data, own, store.epoch)
        if isinstance(judged, Seen):
            seen[each] = judged
        else:
            why[each] = judged
    return seen, why


def judge(
    source: Any, data: bytes | None, tags: tuple[bytes | None, ...], epoch: bytes
) -> Seen | str:
    """What a reader is served by an entry, or why it is not: the rules of `reader.looking`.

    Args:
        tags: the entries of the absences' tag, where the source has one, and of its own tags.
    """
    if data is None:
        return outcomes.CHANGED
    absences, own = (tags[:1], tags[1:]) if source.tag is not None else ((), tags)
    if is_mark(data) or any(tag is not None and is_mark(tag) for tag in own):
        return outcomes.MARKED
    if is_lease(data):
        return outcomes.LEASED
    value = data[entry.REFRESH_SIZE :] if data[:1] == entry.REFRESH else data
    if value.startswith(entry.head(entry.VALUE, source.fingerprint, epoch)):
        # A row without tags is served by its head alone, see `CachedRows.get`.
        if own and not is_current(value, own):
            return outcomes.UNUSED
        return Seen(data, own, entry.payload_of(value))
    if data.startswith(entry.head(entry.NEGATIVE, source.fingerprint, epoch)):
        if any(tag is not None and is_mark(tag) for tag in absences):
            return outcomes.MARKED
        if not absences or not is_current(data, tags):
            return outcomes.UNUSED
        return Seen(data, tags, None)
    return outcomes.UNUSED if entry.unpack(value) is not None else outcomes.DAMAGED
