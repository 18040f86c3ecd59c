"""Actors in threads of their own, of which one at a time goes one step, in every order.

An actor runs until it is about to do something that others can see (a store call, a load, a
commit), and waits there for its turn. A schedule says whose turn it is. A run starts afresh,
follows a schedule and then goes on to the end, or to a state that was met before; wherever another
actor could have gone instead, another run will try that.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple, Protocol

TURN_TIMEOUT = 30

LOADS = "loads"
"""The step that reads the database, and that nobody else sees."""


class Crash(BaseException):
    """The process of an actor is no more: whatever it does on the way out is not done."""


class Actor:
    """One thread that goes from step to step.

    Args:
        name: what traces call it.
        script: what it does; its steps go through `do()`.
        named: turns what a step returns into something to compare and to print.
    """

    def __init__(
        self, name: str, script: Callable[[Actor], object], named: Callable[[Any], Hashable]
    ) -> None:
        self.name = name
        self.next_step = ""
        self.done = self.crashed = False
        self.error: BaseException | None = None
        self.seen: list[Hashable] = []
        """What its steps have told it, which is all that its next ones depend on."""
        self._script, self._named = script, named
        self._call: Callable[[], Any] | None = None
        self._result: Any = None
        # Batons, passed from thread to thread: whoever waits for one finds it taken.
        self._turn, self._paused = threading.Lock(), threading.Lock()
        self._turn.acquire()
        self._paused.acquire()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()
        self._wait()

    def do(self, step: str, call: Callable[[], Any]) -> Any:
        """Called by the actor: take a step as soon as it is its turn, and return the result."""
        if self.crashed:
            raise Crash
        self.next_step, self._call = step, call
        self._paused.release()
        self._turn.acquire()
        if self.crashed:
            raise Crash
        return self._result

    def go(self) -> str:
        """Let it take its step and come to the next. Returns what it did."""
        assert self._call is not None
        step, self._result = self.next_step, self._call()
        answer = self._named(self._result)
        self.seen.append((step, answer))
        self._turn.release()
        self._wait()
        return f"{self.name} {step}: {answer}"

    def crash(self) -> str:
        """Let it go no further. Returns what it did not do."""
        self.crashed = True
        self._turn.release()
        self._wait()
        return f"{self.name} crashes before: {self.next_step}"

    def forget(self) -> None:
        """Called by the actor: what it saw until now has no influence on what it does next."""
        self.seen.clear()

    def state(self) -> Hashable:
        """All that its next steps depend on, besides what they will meet."""
        if self.done:
            return "crashed" if self.crashed else "done"
        return self.next_step, tuple(self.seen)

    def _wait(self) -> None:
        assert self._paused.acquire(timeout=TURN_TIMEOUT), f"{self.name} hangs"
        if self.done:
            self._thread.join()

    def _run(self) -> None:
        try:
            self._script(self)
        except Crash:
            pass
        except BaseException as error:
            self.error = error
        finally:
            self.done = True
            self._paused.release()


class World(Protocol):
    """What a run is made of; made anew for every run."""

    actors: list[Actor]

    def state(self) -> Hashable:
        """All that later steps depend on, besides what each actor has seen."""

    def is_settled(self) -> bool:
        """Whether what is loaded from now on is the same whenever it is loaded."""

    def wrong(self) -> str | None:
        """What has gone wrong so far, if anything."""

    def wrong_at_the_end(self) -> str | None:
        """What is wrong when every actor is done."""


class Findings(NamedTuple):
    """What all schedules have shown."""

    runs: int
    states: int
    ends: int
    wrong: str | None = None
    trace: tuple[str, ...] = ()

    def __str__(self) -> str:
        head = f"{self.runs} runs, {self.states} states, {self.ends} ends: {self.wrong or 'ok'}"
        return "\n".join([head, *(f"  {at:2}. {name}" for at, name in enumerate(self.trace, 1))])


Turn = tuple[int, bool]
"""Whose turn it is, and whether it crashes instead."""


def every_schedule(make: Callable[[], World], *, crashes: bool = False) -> Findings:
    """Try every order of the actors' steps; stop at the first that goes wrong.

    Args:
        make: makes a world in its first state.
        crashes: whether any actor may also crash, at any step.
    """
    search = _Search(crashes)
    while search.waiting and search.wrong is None:
        search.run(make(), search.waiting.pop())
    trace = tuple(search.trace) if search.wrong is not None else ()
    return Findings(search.runs, len(search.met), len(search.ends), search.wrong, trace)


class _Search:
    def __init__(self, crashes: bool) -> None:
        self.crashes = crashes
        self.met: set[Hashable] = set()
        self.ends: set[Hashable] = set()
        self.waiting: list[tuple[Turn, ...]] = [()]
        self.runs = 0
        self.wrong: str | None = None
        self.trace: list[str] = []

    def run(self, world: World, schedule: tuple[Turn, ...]) -> None:
        self.runs += 1
        self.trace = []
        try:
            for turn in schedule:
                self._take(world, turn)
            while self.wrong is None and (turns := self._choices(world)):
                self.waiting += [(*schedule, turn) for turn in turns[1:]]
                schedule = (*schedule, turns[0])
                self._take(world, turns[0])
        finally:
            for actor in world.actors:
                if not actor.done:
                    actor.crash()

    def _take(self, world: World, turn: Turn) -> None:
        number, crashes = turn
        actor = world.actors[number]
        self.trace.append(actor.crash() if crashes else actor.go())
        if actor.error is not None:
            self.wrong = f"{actor.name} raised {actor.error!r}"
        elif self.wrong is None:
            self.wrong = world.wrong()

    def _choices(self, world: World) -> list[Turn]:
        """Whose turn it may be; nobody's at the end and in a state that was met before."""
        state = _whole(world)
        if state in self.met:
            return []
        self.met.add(state)
        alive = [number for number, actor in enumerate(world.actors) if not actor.done]
        if not alive:
            self.ends.add(state)
            self.wrong = world.wrong_at_the_end()
        if world.is_settled():
            # A load that gives the same before and after whatever the others do need not wait.
            loading = [number for number in alive if world.actors[number].next_step == LOADS]
            alive = loading[:1] or alive
        turns = [(number, False) for number in alive]
        return turns + ([(number, True) for number in alive] if self.crashes else [])


def _whole(world: World) -> Hashable:
    """The state, with random versions named in the order in which they come up in it: they are
    compared with one another, and nothing else."""
    whole = repr((world.state(), [actor.state() for actor in world.actors]))
    names: dict[str, str] = {}
    return _VERSION.sub(lambda found: names.setdefault(found[0], f"#{len(names)}"), whole)


_VERSION = re.compile(r"version \d+")
