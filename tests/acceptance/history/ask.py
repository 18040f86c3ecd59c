"""A question to a cache, and what may be answered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from .chronicle import Floor, State

Answer = Callable[[State, Any], Any]
Possible = Callable[[Answer, Sequence[State], Any, Any], bool]
"""Whether something that was seen may have been, given the states of the time of the read."""


def at_once(answer: Answer, states: Sequence[State], argument: Any, seen: Any) -> bool:
    """The answer is that of one moment."""
    return any(seen == answer(state, argument) for state in states)


def row_by_row(answer: Answer, states: Sequence[State], argument: Any, seen: Any) -> bool:
    """Which rows there are is that of one moment; each of the rows may be of another.

    Rows that were there at that moment may be missing, if they have been deleted since. The rows
    of states, answers and what was seen begin with the primary key; what was seen of a row are its
    first columns.
    """
    rows = [{row[0]: row for row in state} for state in states]
    for row in seen:
        each = (state[row[0]][: len(row)] for state in rows if row[0] in state)
        if list(row) not in each:
            return False
    return same_keys(answer, states, argument, [row[0] for row in seen])


def same_keys(answer: Answer, states: Sequence[State], argument: Any, keys: Sequence[Any]) -> bool:
    """Which rows there are is that of one moment, less those that were deleted at another."""
    there = [{row[0] for row in state} for state in states]
    deleted = set().union(*there) - set(there[0]).intersection(*there)
    answers = ([row[0] for row in answer(state, argument)] for state in states)
    return any([pk for pk in found if pk in keys or pk not in deleted] == keys for found in answers)


def each_alone(answer: Answer, states: Sequence[State], argument: Any, seen: Any) -> bool:
    """Each of the rows that were asked for is of some moment, or is missing at some moment."""
    rows = [{row[0]: row for row in state} for state in states]
    for pk in argument:
        shown = None if pk not in seen else list(seen[pk])
        width = len(shown or ())
        if not any((row and row[:width]) == shown for row in (each.get(pk) for each in rows)):
            return False
    return seen.keys() <= set(argument)


class Ask(NamedTuple):
    """One way to ask for something that is made of the rows of a scope."""

    name: str
    area: str
    scope: str
    arguments: Sequence[Any]
    read: Callable[[Any], Any]
    answer: Answer
    possible: Possible = at_once
    announced: str = ""
    """The name under which changes are announced; none: they show with their commit."""

    def floor(self, floor: Floor) -> int:
        """The time of the clock from which on changes must show."""
        return floor.announced.get(self.announced, 0) if self.announced else floor.clock
