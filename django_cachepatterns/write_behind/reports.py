"""What a flush did."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Flushed:
    """What a flush of one buffer, or of several, did.

    Args:
        batches: how many batches reached the database.
        rows: rows that were changed.
        dropped: changes of rows that are not there any more.
        refused: changes that the database refused; they are dead letters now.
        held: buffers that another flusher was at, or that are in the pause after a failed flush.
        errors: what kept buffers from being flushed, by name; what waits in them goes on waiting.
    """

    batches: int = 0
    rows: int = 0
    dropped: int = 0
    refused: int = 0
    held: tuple[str, ...] = ()
    errors: tuple[tuple[str, str], ...] = ()

    def __iadd__(self, other: Flushed) -> Flushed:
        self.batches += other.batches
        self.rows += other.rows
        self.dropped += other.dropped
        self.refused += other.refused
        self.held += other.held
        self.errors += other.errors
        return self
