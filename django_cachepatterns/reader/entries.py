"""What the entry of a key says must be done about it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

from .. import entry
from ..metrics.timing import Call

Key = TypeVar("Key")


@dataclass(slots=True)
class Sorted(Generic[Key]):
    """What the entries of some keys say that must be done about them."""

    epoch: bytes = entry.NO_EPOCH
    missing: list[Key] = field(default_factory=list)
    useless: list[tuple[Key, bytes]] = field(default_factory=list)
    leased: list[Key] = field(default_factory=list)
    marked: list[Key] = field(default_factory=list)
    negative: list[tuple[Key, bytes]] = field(default_factory=list)
    stale: list[tuple[Key, bytes]] = field(default_factory=list)
    """Values that this reader refreshes itself; they are served already."""


class Found(dict[Any, Any]):
    """The values that a read has found so far, by what was asked for.

    Args:
        call: the call that it is done for.
    """

    __slots__ = ("call", "outcomes", "size", "waited")

    def __init__(self, call: Call) -> None:
        self.call = call
        self.outcomes: dict[Any, str] = {}
        """What has become of each key; of several that were tried, the last holds."""
        self.size = 0
        """Bytes of the entries that served."""
        self.waited: set[Any] = set()
        """Keys that were waited for while others loaded them."""

    def become(self, outcome: str, keys: Iterable[Any]) -> None:
        """Say what has become of keys."""
        self.outcomes.update(dict.fromkeys(keys, outcome))


class Looked(NamedTuple):
    """What keys hold, and the epoch of the server that said so.

    The two belong together: a script's commands may run in other threads than its own, each with
    a connection of its own.
    """

    found: Sequence[bytes | None]
    epoch: bytes


class Absent:
    """Known not to exist."""


ABSENT = Absent()


def is_mark(data: bytes) -> bool:
    """Whether an entry is a well-formed mark."""
    return (
        data[:1] == entry.MARK
        and len(data) > 1
        and len(data) % entry.WRITER_SIZE == 1
        and data[1 + entry.TOKEN_SIZE : 1 + entry.WRITER_SIZE].isdigit()
    )


def is_current(data: bytes, tags: Sequence[bytes | None]) -> bool:
    """Whether an entry depends on just these versions."""
    if not tags:
        return data[30:32] == b"\0\0"
    return entry.versions_of(data) == b"".join(
        tag[1:] if tag is not None and entry.is_tag(tag) else b"\0" for tag in tags
    )


def still(seen: bytes | None, found: bytes | None) -> bool:
    """Whether the lease met the useless entry that was seen, or one that is not a string."""
    return found is not None and (found == b"" or found == seen)
