from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from django_cachepatterns import CachePolicy
from django_cachepatterns.policy import merged


def test_a_policy_is_a_frozen_value() -> None:
    policy = CachePolicy(ttl=60, lookups=["slug"])
    assert policy == CachePolicy(ttl=60, lookups=("slug",))
    assert hash(policy) == hash(CachePolicy(ttl=60, lookups=["slug"]))
    with pytest.raises(AttributeError):
        policy.ttl = 1  # type: ignore[misc]


def test_using_gives_a_copy() -> None:
    policy = CachePolicy(ttl=60, lookups=["slug", ("a", "b")])
    assert policy.using(ttl=5).ttl == 5
    assert policy.using(ttl=5).lookups == (("slug",), ("a", "b"))
    assert policy.ttl == 60


def test_a_shorter_ttl_shortens_the_soft_ttl_that_it_leaves_no_room_for() -> None:
    policy = CachePolicy(ttl=3600, soft_ttl=3000)
    assert policy.using(ttl=300).soft_ttl == 250
    assert policy.using(ttl=timedelta(minutes=5)).soft_ttl == 250
    assert policy.using(ttl=3000).soft_ttl == 3000
    assert policy.using(ttl=7200).soft_ttl == 3000
    assert policy.using(ttl=300, soft_ttl=400).soft_ttl == 400
    assert merged(policy, [{"ttl": 300}, {"ttl": 3600}]) == policy


def test_a_wrong_soft_ttl_stays_wrong() -> None:
    for soft in ("x", -1, 70):
        assert CachePolicy(ttl=60, soft_ttl=soft).using(ttl=30).soft_ttl == soft
    assert CachePolicy(ttl=60, soft_ttl=50).using(ttl="x").soft_ttl == 50


def test_seconds_may_be_timedeltas() -> None:
    assert CachePolicy(ttl=timedelta(minutes=2)).ttl == 120.0
    assert CachePolicy(negative_ttl=timedelta(seconds=3)).negative_ttl == 3.0


def test_later_overrides_win() -> None:
    assert merged(CachePolicy(ttl=1), [{"ttl": 2, "jitter": 0}, {"ttl": 3}]) == CachePolicy(
        ttl=3, jitter=0
    )


def test_jitter_only_shortens() -> None:
    policy = CachePolicy(ttl=100, jitter=0.2)
    lives = [policy.expires_in() for _ in range(500)]
    assert min(lives) >= 80_000
    assert max(lives) <= 100_000
    assert len(set(lives)) > 100
    assert CachePolicy(ttl=100, jitter=0).expires_in() == 100_000


def test_a_default_policy_is_right() -> None:
    assert list(CachePolicy().problems()) == []


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ({"tll": 5}, "E001", "'tll'"),
        ({"ttl": 0}, "E002", "0"),
        ({"ttl": -1}, "E002", "-1"),
        ({"ttl": None}, "E002", "None"),
        ({"ttl": "60"}, "E002", "'60'"),
        ({"ttl": True}, "E002", "True"),
        ({"ttl": 60, "soft_ttl": 61}, "E003", "61"),
        ({"ttl": 60, "soft_ttl": 0}, "E003", "0"),
        ({"jitter": 1}, "E004", "1"),
        ({"jitter": "x"}, "E004", "'x'"),
        ({"negative_ttl": -1}, "E005", "-1"),
        ({"lease_ttl": 0}, "E006", "lease_ttl"),
        ({"lease_wait": None}, "E006", "lease_wait"),
        ({"pattern": "readthrough"}, "E007", "'readthrough'"),
        ({"invalidation": "x"}, "E007", "'x'"),
        ({"stampede": "x"}, "E007", "'x'"),
    ],
)
def test_a_wrong_policy_names_the_fault_and_the_remedy(
    options: dict[str, Any], code: str, said: str
) -> None:
    (problem,) = CachePolicy(**options).problems()
    assert problem.code == code
    assert said in problem.message
    assert problem.hint


def test_an_unknown_key_survives_using() -> None:
    assert CachePolicy(tll=5).using(ttl=7).unknown == ("tll",)
