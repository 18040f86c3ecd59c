"""A hundred thousand members, most of which share their score with others."""

from __future__ import annotations

import random
from typing import Any

import pytest
import redis
from django.db import connection

from django_cachepatterns.testing import outage
from tests.integration.boards import board_key, by_sql
from tests.testapp.models import fastest

pytestmark = pytest.mark.django_db(transaction=True)

MEMBERS = 100_000


@pytest.fixture
def members() -> list[int]:
    """Their keys, of whom every tenth has no score, and the others one of 700."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO testapp_player (name, score, best_time) "
            "SELECT '', 0, CASE WHEN n %% 10 = 0 THEN NULL ELSE (n * 7919) %% 700 END "
            "FROM generate_series(1, %s) AS n RETURNING id",
            [MEMBERS * 10 // 9 + 1],
        )
        return [pk for (pk,) in cursor.fetchall()]


def whole(client: redis.Redis) -> Any:
    return client.zrange(board_key(fastest, client), 0, -1, withscores=True)  # type: ignore[arg-type]


def ranks_one_by_one(client: redis.Redis, pks: list[int]) -> list[int]:
    """What `rank()` asks, for all members in one pipeline."""
    key = board_key(fastest, client)
    with client.pipeline(transaction=False) as pipeline:
        for pk in pks:
            pipeline.zrank(key, fastest.members.member(pk))  # type: ignore[arg-type]
        return [place + 1 for place in pipeline.execute()]


def test_ranks_are_those_of_sql_for_every_member(
    members: list[int], redis_client: redis.Redis
) -> None:
    expected = by_sql(fastest)
    assert len(expected) >= MEMBERS
    assert fastest.top(len(expected) + 5) == expected
    assert fastest.size() == len(expected)
    assert ranks_one_by_one(redis_client, [each.member for each in expected]) == [
        each.rank for each in expected
    ]

    own = random.Random(4)
    for _ in range(3):
        some = own.sample(members, 3000)
        fastest.increment_many({pk: own.randint(-3, 3) for pk in some[:2000]})
        fastest.submit_many({pk: own.randint(0, 699) for pk in some[1000:]})
    before = fastest.top(2 * MEMBERS)
    assert fastest.flush().errors == ()
    expected = by_sql(fastest)
    assert fastest.top(2 * MEMBERS) == before == expected
    for each in own.sample(expected, 300):
        assert fastest.rank(each.member) == each.rank
        assert fastest.around(each.member, 2) == expected[max(0, each.rank - 3) : each.rank + 2]
    with outage():
        for each in own.sample(expected, 20):
            assert fastest.rank(each.member) == each.rank
            assert fastest.around(each.member, 2) == expected[max(0, each.rank - 3) : each.rank + 2]

    counted = whole(redis_client)
    fastest.rebuild()
    assert whole(redis_client) == counted


def test_a_rebuild_gives_the_identical_board_while_changes_wait(
    members: list[int], redis_client: redis.Redis
) -> None:
    assert fastest.size() >= MEMBERS
    own = random.Random(5)
    for _ in range(4):
        some = own.sample(members, 3000)
        fastest.increment_many({pk: own.randint(-3, 3) for pk in some[:2000]})
        fastest.submit_many({pk: own.randint(0, 699) for pk in some[1000:]})
        fastest.remove(some[0])
    counted = whole(redis_client)
    fastest.rebuild()
    assert whole(redis_client) == counted
