"""What writers have begun to count, and what was acknowledged, in memory that all can see."""

from __future__ import annotations

from collections.abc import Mapping

from tests.acceptance.history.crew import spawn

from .ground import PKS, ROWS


class Counts:
    """Sums by writer and row. Each is written by one process, so nobody ever holds a lock.

    Args:
        writers: how many writers there are.
    """

    def __init__(self, writers: int) -> None:
        self._begun = spawn.RawArray("q", writers * ROWS)
        self._acknowledged = spawn.RawArray("q", writers * ROWS)

    def begin(self, writer: int, amounts: Mapping[int, int]) -> None:
        """A writer is about to count."""
        _add(self._begun, writer, amounts)

    def acknowledge(self, writer: int, amounts: Mapping[int, int]) -> None:
        """A writer has been told that it is counted."""
        _add(self._acknowledged, writer, amounts)

    def begun(self, pk: int) -> int:
        """The sum that was begun for a row."""
        return sum(self._begun[pk - 1 :: ROWS])

    def acknowledged(self, pk: int) -> int:
        """The sum that was acknowledged for a row."""
        return sum(self._acknowledged[pk - 1 :: ROWS])

    def total(self) -> int:
        """The sum that was acknowledged for all rows."""
        return sum(self._acknowledged)

    def all_acknowledged(self) -> dict[int, int]:
        """The sums that were acknowledged, by row."""
        return {pk: self.acknowledged(pk) for pk in PKS}


def _add(sums: list[int], writer: int, amounts: Mapping[int, int]) -> None:
    for pk, amount in amounts.items():
        sums[writer * ROWS + pk - 1] += amount
