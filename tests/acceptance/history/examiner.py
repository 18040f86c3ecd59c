"""Whether an answer may be what it is."""

from __future__ import annotations

from typing import Any

from .ask import Ask
from .chronicle import Chronicle, Floor, State
from .tally import Tally


class Examiner:
    """Compares answers with the states from before the question until after the answer.

    Args:
        chronicle: of the states.
        tally: where faults are counted.
    """

    def __init__(self, chronicle: Chronicle, tally: Tally) -> None:
        self._chronicle = chronicle
        self._tally = tally

    def examine(self, how: str, ask: Ask, argument: Any, floor: Floor, seen: Any) -> None:
        """An answer that was given after `floor` was noted."""
        self._tally.count("judged")
        clock = ask.floor(floor)
        states = self._chronicle.since(ask.scope, clock)
        if ask.possible(ask.answer, states, argument, seen):
            return
        fault = "stale" if self._was_once(ask, argument, clock, states, seen) else "dirty"
        self._tally.fault(
            fault, f"{how}, {argument!r}: {seen!r}, not {ask.answer(states[0], argument)!r}"
        )
        self._tally.count(f"{fault} in {ask.area}")

    def _was_once(
        self, ask: Ask, argument: Any, clock: int, states: list[State], seen: Any
    ) -> bool:
        """Whether an answer was right before; what never was is dirty."""
        states = list(states)
        for state in self._chronicle.until(ask.scope, clock):
            states.append(state)
            if ask.possible(ask.answer, [state], argument, seen):
                return True
        # Rows may be of one moment each: the answer may be made of several.
        return ask.possible(ask.answer, states[:SEEN_TOGETHER], argument, seen)


SEEN_TOGETHER = 400
"""States that a stale answer may be made of."""
