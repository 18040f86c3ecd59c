"""Kinds: which Python type a column's driver gives, so that decoding can be typed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Kind:
    """A column's kind.

    Args:
        name: part of the fingerprint.
        type: the exact Python type of its values, or `None` for any (each value is then tagged).
        item: for lists, the kind of the items.
    """

    name: str
    type: type[Any] | None
    item: Kind | None = None

    def annotation(self) -> Any:
        """The type to decode as."""
        if self.type is None:
            return Any
        if self.item is not None:
            return list[self.item.annotation()] | None  # type: ignore[misc]
        return self.type | None

    def accepts(self, value: Any) -> bool:
        """Whether a value of this kind comes back as it was."""
        if value is None:
            return True
        if type(value) is not self.type:
            return False
        if self.item is not None:
            return all(map(self.item.accepts, value))
        if self.type is datetime:
            return value.tzinfo is None or value.tzinfo is UTC
        return self.type is not time or value.tzinfo is None


ANY = Kind("any", None)
INT = Kind("int", int)
FLOAT = Kind("float", float)
BOOL = Kind("bool", bool)
TEXT = Kind("text", str)
BYTES = Kind("bytes", bytes)
DECIMAL = Kind("decimal", Decimal)
DATETIME = Kind("datetime", datetime)
DATE = Kind("date", date)
TIME = Kind("time", time)
DURATION = Kind("duration", timedelta)
UUID_ = Kind("uuid", UUID)


def list_of(item: Kind) -> Kind:
    """A list of a kind; a list of anything is itself anything."""
    return ANY if item.type is None else Kind(f"{item.name}[]", list, item)
