"""What is read and told of: the interface between the styles of writing and a cache."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ..ask import Ask


class Source(NamedTuple):
    """Notices that are read in one way."""

    kind: str
    moment: str
    """When `tell` is called: `within` the transaction, or `after` it."""
    asks: Sequence[Ask]
    tell: Callable[[str], None]
    """Tell the cache that a notice has changed, or is about to."""
    write: Callable[[str, int | None], None] | None = None
    """Write through: what writes and tells at once."""
