"""How much of what a run does."""

from __future__ import annotations

from dataclasses import dataclass

from .areas import AREAS

AUTOCOMMIT = "autocommit"
ATOMIC = "atomic"
REPEATABLE_READ = "repeatable read"
KINDS = (AUTOCOMMIT, ATOMIC, REPEATABLE_READ)


@dataclass(frozen=True)
class Workload:
    """One run. All lengths of time are in seconds."""

    seconds: float = 10.0
    readers: tuple[str, ...] = KINDS
    """The kind of each reader process."""
    areas: tuple[str, ...] = AREAS
    """What is read and written."""
    threads: int = 2
    """How many read in each reader process."""
    writers: int = 2
    warmers: int = 0
    """Processes that warm and drop what the others read and write."""
    gap: float = 0.004
    """The mean time between two writes of one writer. Without one there would be few hits."""
    write_pause: float = 0.003
    """The longest pause in a transaction that has written, and from its commit to its end."""
    fill_pause: float = 0.004
    """The longest usual pause between a load and its fill; one in seven may be ten times that."""
    seed: int = 1
