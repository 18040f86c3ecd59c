"""Where each flusher is killed, or one of the servers while it waits."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from django_cachepatterns.hooks import FLUSH_STEPS

ANYWHERE = "anywhere"
POINTS = (*FLUSH_STEPS, ANYWHERE)

FLUSHER, VALKEY, POSTGRES = "flusher", "valkey", "postgres"
"""Who is killed."""
PAUSED_VALKEY = "paused valkey"
"""A server that does not answer in time, and goes on later with what it was sent."""
UNHEARD_COMMIT = "unheard commit"
"""A COMMIT that is sent, and whose reply is lost."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The life of one flusher.

    Args:
        point: the step at which it is killed, or `ANYWHERE`.
        visit: at the how manieth time that it comes there.
        seed: of its pauses.
        target: who is killed when it comes there.
    """

    point: str
    visit: int
    seed: int
    target: str = FLUSHER


def made_plans(
    kills: int, points: Sequence[str] = POINTS, seed: int = 1, target: str = FLUSHER
) -> list[Plan]:
    """Plans for so many kills at each point, in any order."""
    rng = random.Random(seed)
    where = [point for point in points for _ in range(kills)]
    rng.shuffle(where)
    return [Plan(point, rng.randint(1, 3), rng.getrandbits(32), target) for point in where]
