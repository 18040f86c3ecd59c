"""What a process has found out about a family of entries."""

from __future__ import annotations

from ..admission import Sketch


class Memory:
    """What this process has found out about one family of entries."""

    __slots__ = ("_sketch", "refused", "said")

    def __init__(self) -> None:
        self._sketch: Sketch | None = None
        self.refused: dict[bytes, float] = {}
        self.said: set[str] = set()

    @property
    def sketch(self) -> Sketch:
        """How often keys were asked for; made when it is first needed."""
        if self._sketch is None:
            self._sketch = Sketch()
        return self._sketch


MEMORIES: dict[str, Memory] = {}
