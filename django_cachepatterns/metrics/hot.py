"""Which keys are asked for most, from one read in 64.

The keys of the reads that are looked at are counted in a table of bounded size. What is asked for
most stays in it: where it is full, the half that was asked for least goes. It is a cousin of the
space-saving sketch of Metwally and others.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

ONE_IN = 64
MOST = 2000
"""Keys that a process remembers between two times that it sends them."""

_hot: dict[tuple[str, bytes], int] = {}


def saw(family: str, keys: Iterable[bytes]) -> None:
    """Count keys of a read that is looked at."""
    hot = _hot
    for key in keys:
        hot[family, key] = hot.get((family, key), 0) + ONE_IN
    if len(hot) > MOST:
        _make_room()


def taken() -> dict[bytes, int]:
    """What was counted since this was last asked, by the family, a zero byte, and the key."""
    global _hot
    hot, _hot = _hot, {}
    return {
        family.encode(errors="replace") + b"\0" + key: number
        for (family, key), number in dict(hot).items()
    }


def _make_room() -> None:
    global _hot
    hot = dict(_hot)
    _hot = dict(sorted(hot.items(), key=lambda each: each[1], reverse=True)[: MOST // 2])


os.register_at_fork(after_in_child=taken)
