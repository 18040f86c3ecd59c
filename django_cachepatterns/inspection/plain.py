"""What the server holds, as data that can be shown: bytes as text where they are text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def plain(value: Any) -> Any:
    """The same with bytes as text, or as hexadecimal digits where they are none."""
    if isinstance(value, memoryview):
        value = bytes(value)
    if isinstance(value, bytes):
        try:
            text = value.decode()
        except UnicodeDecodeError:
            return value.hex()
        return text if "".join(text.split()).isprintable() else value.hex()
    if isinstance(value, Mapping):
        return {_name(key): plain(each) for key, each in value.items()}
    if isinstance(value, tuple):
        return tuple(map(plain, value))
    if isinstance(value, list):
        return list(map(plain, value))
    return value


def _name(key: Any) -> Any:
    """The key of a mapping: as it is where JSON takes it, else its text."""
    said = plain(key)
    return said if isinstance(said, str | int | float | None) else str(said)
