"""A process that warms what others read and write, and drops it again."""

from __future__ import annotations

import random
import time
from typing import Any

from django_cachepatterns.dropping import drop_all, drop_entries
from django_cachepatterns.warming import warm

from .subject import subject
from .tally import Tally
from .workload import Workload

WAYS: tuple[dict[str, Any], ...] = ({}, {"workers": 2}, {"refresh": True}, {"rate": 2000.0})


def warm_and_drop(workload: Workload, name: str, number: int) -> Tally:
    """Warm and drop until the time is up."""
    from tests.testapp.models import Category, Item, Label, Piece, WrittenPiece

    models = (Item, Label, Category, Piece, WrittenPiece)
    rng = random.Random(f"{workload.seed}/warmer {number}")
    tested, tally = subject(name, workload.areas), Tally()
    ends = time.monotonic() + workload.seconds

    def pause() -> None:
        time.sleep(rng.uniform(0, 2 * workload.fill_pause))

    with tested.pausing(pause):
        while time.monotonic() < ends:
            done = warm(*models, **rng.choice(WAYS))
            if done.error is not None:
                raise done.error
            tally.count("warmed", done.total.filled)
            tally.count("not warmed: written meanwhile", done.total.refused)
            tally.count("not warmed: others were at it", done.total.busy)
            if rng.random() < 0.3:
                dropped = drop_all() if rng.random() < 0.2 else drop_entries(rng.choice(models))
                tally.count("dropped", dropped.entries)
            pause()
    return tally
