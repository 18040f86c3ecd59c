"""Admission: keys that are hardly ever asked for do not get into the cache.

A count-min sketch (Cormode and Muthukrishnan, 2005) of a few kilobytes counts what this process was
asked for; as in TinyLFU (Einziger, Friedman and Manes, 2017) all counts are halved now and then, so
that old fame fades.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from .policy import MOST_ASKED

ROWS, WIDTH = 4, 4096
MOST = MOST_ASKED
HALVED_AFTER = 10 * WIDTH


class Sketch:
    """Roughly how often keys were asked for; never less than in truth since it was halved."""

    __slots__ = ("_asked", "_counts")

    def __init__(self) -> None:
        self._counts = [bytearray(WIDTH) for _ in range(ROWS)]
        self._asked = 0

    def ask(self, key: bytes) -> int:
        """Count one more, and return how many there were, this one included (255 at most)."""
        self._asked += 1
        if self._asked >= HALVED_AFTER:
            self._halve()
        least = MOST
        for counts, place in self._places(key):
            count = counts[place] = min(MOST, counts[place] + 1)
            least = min(least, count)
        return least

    def count(self, key: bytes) -> int:
        """How often a key was asked for, without counting this."""
        return min(counts[place] for counts, place in self._places(key))

    def _places(self, key: bytes) -> Iterator[tuple[bytearray, int]]:
        digest = hashlib.blake2b(key, digest_size=2 * ROWS).digest()
        for at, counts in enumerate(self._counts):
            yield counts, int.from_bytes(digest[2 * at : 2 * at + 2]) % WIDTH

    def _halve(self) -> None:
        self._asked = 0
        halves = bytes(number // 2 for number in range(256))
        self._counts = [bytearray(counts.translate(halves)) for counts in self._counts]
