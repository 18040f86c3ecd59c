"""Leaderboards against a model of a few lines: everything in any order, compared at each step."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from tests.integration.board_runs import Run
from tests.integration.boards import made
from tests.testapp.models import Player

pytestmark = pytest.mark.django_db(transaction=True)

BOARDS: dict[str, dict[str, Any]] = {
    "rising": {"field": "score"},
    "falling": {"field": "best_time", "order": "asc"},
}
STEPS = 120


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", BOARDS)
def test_a_board_is_what_a_few_lines_say(name: str, seed: int, redis_client: redis.Redis) -> None:
    with made(name, model=Player, batch_rows=3, **BOARDS[name]) as board:
        run = Run(board, redis_client, seed)
        for _ in range(STEPS):
            run.step()
        run.flush()
        run.check()
