"""What is wrong with what readers are served."""

from __future__ import annotations

from typing import Any

from .comparing import differences, is_same
from .looks import Seen
from .report import DIFFERS, EXISTS, GONE, Difference

ABSENT: Any = object()
"""What the database says of what is not there."""


def problem_of(source: Any, seen: Seen, loaded: Any) -> str | None:
    """One of `report.PROBLEMS`, or `None`.

    Args:
        loaded: what the database says, or `ABSENT`.

    Raises `CodecError` where readers are served nothing, because it cannot be decoded.
    """
    if seen.payload is None:
        return None if loaded is ABSENT else EXISTS
    if loaded is ABSENT:
        source.decode(seen.payload)
        return GONE
    return None if is_same(source, seen.payload, loaded) else DIFFERS


def differences_of(source: Any, seen: Seen, loaded: Any) -> tuple[Difference, ...]:
    """Where they differ; nothing where one of the two does not exist."""
    if seen.payload is None or loaded is ABSENT:
        return ()
    return differences(source, seen.payload, loaded)
