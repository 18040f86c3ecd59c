"""What may be wrong with a leaderboard."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from .. import problems
from ..problems import Problem

if TYPE_CHECKING:
    from .leaderboard import Leaderboard

ORDERS = ("desc", "asc")


def of_board(board: Leaderboard) -> Iterator[Problem]:
    """What is wrong with a board's model, its column, its order, and what every buffer has."""
    try:
        model = board.model
    except (LookupError, ValueError):
        yield Problem(
            "E050",
            f"its model is {board.label!r}, which is not installed.",
            'Give a model, or its label, such as "shop.Product".',
        )
        return
    yield from problems.of(board)
    yield from problems.of_number(model, board.field)
    if board.order not in ORDERS:
        yield Problem("E051", f"order is {board.order!r}.", f"Use one of: {', '.join(ORDERS)}.")
