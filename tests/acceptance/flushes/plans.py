"""Where each flusher is killed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from django_cachepatterns.hooks import FLUSH_STEPS

ANYWHERE = "anywhere"
POINTS = (*FLUSH_STEPS, ANYWHERE)


@dataclass(frozen=True, slots=True)
class Plan:
    """The life of one flusher.

    Args:
        point: the step at which it is killed, or `ANYWHERE`.
        visit: at the how manieth time that it comes there.
        seed: of its pauses.
    """

    point: str
    visit: int
    seed: int


def made_plans(kills: int, points: Sequence[str] = POINTS, seed: int = 1) -> list[Plan]:
    """Plans for so many kills at each point, in any order."""
    rng = random.Random(seed)
    where = [point for point in points for _ in range(kills)]
    rng.shuffle(where)
    return [Plan(point, rng.randint(1, 3), rng.getrandbits(32)) for point in where]
