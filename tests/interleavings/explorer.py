"""Breadth-first search over everything that can happen."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable
from typing import Any, NamedTuple, Protocol


class Step(NamedTuple):
    """One thing that can happen: its name, what follows, and what is wrong about it, if so.

    `did` tells a replay what to do, see `protocol`.
    """

    name: str
    state: Any
    wrong: str | None = None
    did: Any = None


class Model(Protocol):
    """What is explored. States are hashable."""

    def starts(self) -> Iterable[tuple[str, Hashable]]:
        """The states that it can begin in, each with a name."""

    def steps(self, state: Any) -> Iterable[Step]:
        """All that can happen next."""

    def wrong_at_the_end(self, state: Any) -> str | None:
        """What is wrong with a state in which nothing more has to happen."""


class Report(NamedTuple):
    """What an exploration has found.

    `wrong` and `trace` are those of the first violation, by one of the shortest ways to it.
    """

    states: int
    steps: int
    ends: int
    wrong: str | None = None
    trace: tuple[str, ...] = ()

    def __str__(self) -> str:
        head = f"{self.states} states, {self.steps} steps, {self.ends} ends: {self.wrong or 'ok'}"
        lines = (f"  {at:2}. {name}" for at, name in enumerate(self.trace))
        return "\n".join([head, *lines])


def explore(model: Model) -> Report:
    """Visit every state once; stop at the first violation."""
    came_from: dict[Any, tuple[Any, str]] = {}
    queue: deque[Any] = deque()
    for name, start in model.starts():
        came_from[start] = (None, name)
        queue.append(start)
    steps = ends = 0

    def report(wrong: str | None, state: Any, last: str | None) -> Report:
        trace = [last] if last else []
        while wrong and state is not None:
            state, name = came_from[state]
            trace.append(name)
        return Report(len(came_from), steps, ends, wrong, tuple(reversed(trace)))

    while queue:
        state = queue.popleft()
        wrong = model.wrong_at_the_end(state)
        if wrong is not None:
            return report(wrong, state, "the end")
        any_step = False
        for step in model.steps(state):
            any_step = True
            steps += 1
            if step.wrong is not None:
                return report(step.wrong, state, step.name)
            if step.state not in came_from:
                came_from[step.state] = (state, step.name)
                queue.append(step.state)
        ends += not any_step
    return report(None, None, None)
