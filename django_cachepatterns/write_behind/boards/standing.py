"""What a leaderboard says of a member."""

from __future__ import annotations

from typing import Any, NamedTuple


class Standing(NamedTuple):
    """One place of a leaderboard.

    Args:
        rank: from 1.
        member: the primary key.
        score: the score.
    """

    rank: int
    member: Any
    score: int
