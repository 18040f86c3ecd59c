"""What a reader has to know of the things that it reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

from .policy import CachePolicy

Key = TypeVar("Key")
Value = TypeVar("Value")


class Loaded(NamedTuple):
    """What a source loaded: values by asked key, and whether others may see them.

    `publish` is false where the values come from a snapshot or hold uncommitted changes.
    """

    values: Mapping[Any, Any]
    publish: bool


class Source(Protocol[Key, Value]):  # type: ignore[misc]
    """Where the entries of one family come from."""

    name: str
    policy: CachePolicy
    fingerprint: bytes
    tag: bytes | None
    """Key of the tag that negative entries depend on; `None`: absences are not remembered."""

    def entry_key(self, asked: Key) -> bytes:
        """The cache key of what is asked for."""

    def tags(self, asked: Key) -> tuple[bytes, ...]:
        """The keys of the tags that it depends on, always in the same order."""

    def may_fill(self, asked: Key) -> bool:
        """Whether this thread may publish it (it has no uncommitted write to it)."""

    def load(self, asked: Sequence[Key]) -> Loaded:
        """Load from the database, in one query. Absent ones are left out.

        A source that is read by `Reader.aread()` has an `aload`, too, to be awaited.
        """

    def encode(self, value: Value) -> bytes:
        """The payload of a value. Raises `CodecError`."""

    def decode(self, payload: bytes) -> Value:
        """The value of a payload. Raises `CodecError`."""

    def recipe(self, asked: Key) -> dict[str, Any] | None:
        """What another process needs to refresh it, as JSON; `None` where none could."""
