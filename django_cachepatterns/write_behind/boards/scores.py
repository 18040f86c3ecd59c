"""Changes of scores that wait: functions that can be put together.

Whatever is counted and submitted, in whatever order, what comes of a score `s` is
`best(s + add, bound)`, and of no score a number of its own. So a batch keeps three numbers for a
member, and is exact. `stores/lua/scores.lua` does the same on the server.
"""

from __future__ import annotations

from typing import Any, NamedTuple

LARGEST_SCORE = 2**53
"""Scores are exact up to this, on either side of 0: a sorted set's are floating-point numbers."""


class Change(NamedTuple):
    """What happens to a score.

    Args:
        add: what is added; `None`: the score is set to `fresh`.
        bound: what it becomes where that is better; `None`: nothing.
        fresh: what no score becomes; `None`: it stays none.
    """

    add: int | None
    bound: int | None
    fresh: int | None


def adding(number: int) -> Change:
    """The change of an increment."""
    return Change(number, None, number)


def submitting(number: int) -> Change:
    """The change that keeps the best."""
    return Change(0, number, number)


def setting(score: int | None) -> Change:
    """The change of a removal."""
    return Change(None, None, score)


class Arithmetic:
    """What changes make of scores.

    Args:
        descending: whether the highest score is the best.
        removed: the score of a row that was removed.
    """

    def __init__(self, descending: bool, removed: int | None) -> None:
        self.best = max if descending else min
        self.removed = removed

    def changed(self, change: Change, score: int | None) -> int | None:
        """What a change makes of a score."""
        if change.add is None or score is None:
            return change.fresh
        score += change.add
        return score if change.bound is None else self.best(score, change.bound)

    def after(self, text: bytes | None, score: int | None) -> int | None:
        """What a change makes of a score, by its text: nothing, where that cannot be read.

        A flush makes such a one a dead letter.
        """
        try:
            return score if text is None else self.changed(self.parse(text.decode()), score)
        except ValueError:
            return score

    def together(self, first: Change, second: Change) -> Change:
        """One change that does what two do."""
        fresh = self.changed(second, first.fresh)
        if first.add is None or second.add is None:
            return setting(fresh)
        bounds = [] if first.bound is None else [first.bound + second.add]
        bounds += [] if second.bound is None else [second.bound]
        return Change(first.add + second.add, self.best(bounds, default=None), fresh)

    def parse(self, text: str) -> Change:
        """A change as a batch or a dead letter keeps it, see `scores.lua`."""
        if text.startswith("="):
            return setting(int(text[1:]) if len(text) > 1 else self.removed)
        add, *rest = map(int, text.split(":"))
        if not rest:
            return adding(add)
        bound, fresh = rest
        return Change(add, bound, fresh)


def text_of(change: Change) -> str:
    """The text of a change."""
    if change.add is None:
        return "=" if change.fresh is None else f"={change.fresh}"
    if change.bound is None:
        return str(change.add)
    return f"{change.add}:{change.bound}:{change.fresh}"


def checked_places(name: str, what: str, number: Any) -> int:
    """A number of places as it was given. Raises `TypeError` and `ValueError` for a wrong one."""
    if not isinstance(number, int):
        raise TypeError(f"{name}: {what} is {number!r}, a {type(number).__name__}; give an int.")
    if not 0 <= number <= LARGEST_SCORE:
        raise ValueError(f"{name}: {what} is {number}; it must be at least 0, and at most 2**53.")
    return number


def checked(name: str, number: Any) -> int:
    """A score or an amount as it was given. Raises `TypeError` and `ValueError` for a wrong one."""
    if type(number) is not int:
        raise TypeError(
            f"{name}: the score is {number!r}, a {type(number).__name__}; it must be an int."
        )
    if not -LARGEST_SCORE <= number <= LARGEST_SCORE:
        raise ValueError(
            f"{name}: the score {number} is beyond 2**53, up to which scores are exact. Count in "
            "larger units."
        )
    return number
