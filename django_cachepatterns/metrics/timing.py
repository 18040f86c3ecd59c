"""How long calls and loads take, and what reads find: what the hit path pays for metrics."""

from __future__ import annotations

from collections.abc import Iterable
from time import perf_counter_ns
from typing import Any

from . import hot
from .counting import count, grow, thread
from .histogram import BUCKETS, bucket_of_ns
from .measured import KINDS

_SAMPLED = (hot.ONE_IN - 1) << 10
"""Bits of the clock, of a microsecond and more, that are as good as chance."""
_QUICK = tuple(1 + bucket_of_ns(at << 9) for at in range(4096))
"""The place in a cell of times up to two milliseconds, by their number of 512 nanoseconds."""
_NAMES = {kind: tuple(f"{kind}:{bucket}" for bucket in range(BUCKETS)) for kind in KINDS}


class Call:
    """One call of the project's that reads, however many keys of however many families it takes.

    Args:
        began: when, in nanoseconds of `perf_counter_ns()`; now, where it is left out.
    """

    __slots__ = ("began", "held", "loaded")

    def __init__(self, began: int = 0) -> None:
        self.began = began or perf_counter_ns()
        self.loaded = False
        """Whether anything had to be loaded."""
        self.held: dict[Any, Any] | None = None
        """What is to be counted at the end, by the reader; `None`: each counts at once."""

    def hold(self) -> None:
        """Count from now on when it ends, and nothing of what was held before: it is read again."""
        self.held = {}

    def went_past(self) -> None:
        """What was held was of no use: what it began with is read elsewhere."""
        self.loaded = True
        for reader, values in list((self.held or {}).items())[:1]:
            self.held = {reader: values}
            values.become("bypass", list(values.outcomes))

    def end(self) -> None:
        """Count what is held. It is a call of the reader that came first."""
        held, self.held = self.held, None
        for at, (reader, values) in enumerate((held or {}).items()):
            reader.note(values, is_call=not at)

    @property
    def kind(self) -> str:
        """What its time counts as."""
        return "miss" if self.loaded else "hit"


class Meter:
    """Measures one family.

    Args:
        family: its name.
    """

    __slots__ = ("family",)

    def __init__(self, family: str) -> None:
        self.family = family

    def hit(self, began: int, size: int, key: bytes) -> None:
        """One key was asked for, and served. This is the hit path: nothing is called in vain.

        Args:
            began: when the call began, in nanoseconds of `perf_counter_ns()`.
            size: bytes of the entry.
            key: of the entry.
        """
        now = perf_counter_ns()
        cell = thread.cells[self.family]
        cell[0] += size
        try:
            cell[_QUICK[now - began >> 9]] += 1
        except IndexError:
            cell[1 + bucket_of_ns(now - began)] += 1
        if not now & _SAMPLED:
            hot.saw(self.family, (key,))

    def took(self, kind: str, began: int, keys: Iterable[bytes] = ()) -> None:
        """Something that began then is over.

        Args:
            kind: one of `KINDS`.
            began: in nanoseconds of `perf_counter_ns()`.
            keys: which were asked for.
        """
        now = perf_counter_ns()
        grow(thread.times, self.family, _NAMES[kind][bucket_of_ns(now - began)])
        if not now & _SAMPLED:
            hot.saw(self.family, keys)

    def served(self, number: int, size: int) -> None:
        """Keys were served, of entries of so many bytes."""
        count(self.family, "hit", number)
        count(self.family, "read_bytes", size)
