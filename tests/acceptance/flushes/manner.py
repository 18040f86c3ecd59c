"""How writers count."""

from __future__ import annotations

from dataclasses import dataclass

from .ground import BATCH_ROWS


@dataclass(frozen=True, slots=True)
class Manner:
    """How writers count.

    Args:
        strict: whether every increment has an operation id, by which it is tried again where
            nobody knows what has become of it.
        batch_rows: rows of a batch.
        missing: the safeguard that is taken away.
    """

    strict: bool = False
    batch_rows: int = BATCH_ROWS
    missing: str | None = None
