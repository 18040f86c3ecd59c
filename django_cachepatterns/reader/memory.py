"""What a process has found out about a family of entries."""

from __future__ import annotations

from ..admission import Sketch


class Memory:
    """What this process has found out about one family of entries."""

    __slots__ = ("_sketch", "refused", "refused_in_a_row", "said")

    def __init__(self) -> None:
        self._sketch: Sketch | None = None
        self.refused: dict[bytes, float] = {}
        self.refused_in_a_row = 0
        self.said: set[str] = set()

    @property
    def sketch(self) -> Sketch:
        """How often keys were asked for; made when it is first needed."""
        if self._sketch is None:
            self._sketch = Sketch()
        return self._sketch


MOST = 10_000
"""Fragments may be named by what a page shows; what is kept must not grow without end."""

_memories: dict[str, Memory] = {}


def memory_of(family: str) -> Memory:
    """What is known of a family; forgotten where there are too many of them."""
    memory = _memories.get(family)
    if memory is None:
        if len(_memories) >= MOST:
            _memories.clear()
        memory = _memories[family] = Memory()
    return memory
