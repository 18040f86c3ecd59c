"""Times in buckets: four to each doubling."""

from __future__ import annotations

import random
from statistics import quantiles

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_cachepatterns.metrics.histogram import (
    BUCKETS,
    bounds,
    bucket_of,
    bucket_of_ns,
    quantile,
)
from django_cachepatterns.metrics.timing import _QUICK

HOURS = 10 * 3600 * 10**9


@given(st.integers(0, HOURS))
def test_a_time_is_within_the_bounds_of_its_bucket(spent: int) -> None:
    low, high = bounds(bucket_of_ns(spent))
    assert low * 1e9 <= spent + 1e-3
    assert spent < high * 1e9 + 1e-3


def test_buckets_follow_each_other_without_a_gap() -> None:
    for bucket in range(BUCKETS - 1):
        assert bounds(bucket)[1] == bounds(bucket + 1)[0]
        low, high = bounds(bucket + 1)
        assert (high - low) / low <= 0.25


@pytest.mark.parametrize("spent", [0, 1, 10**18, 2**62])
def test_no_time_is_too_short_or_too_long(spent: int) -> None:
    assert 0 <= bucket_of_ns(spent) < BUCKETS
    assert bucket_of(spent / 1e9) == bucket_of_ns(int(spent / 1e9 * 1e9))


@given(st.integers(2048, 4096 * 512 - 1))
def test_the_hit_path_takes_the_same_buckets(spent: int) -> None:
    assert _QUICK[spent >> 9] == 1 + bucket_of_ns(spent)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("share", [0.01, 0.5, 0.9, 0.95, 0.99])
def test_a_quantile_errs_by_an_eighth_at_most(seed: int, share: float) -> None:
    chance = random.Random(seed)
    times = [chance.lognormvariate(-9, 1.5) + 1e-5 for _ in range(5000)]
    buckets: dict[int, int] = {}
    for each in times:
        buckets[bucket_of(each)] = buckets.get(bucket_of(each), 0) + 1
    right = quantiles(times, n=100, method="inclusive")[round(share * 100) - 1]
    found = quantile(buckets, share)
    assert found is not None
    assert abs(found - right) / right < 0.125


def test_of_no_times_there_is_no_quantile() -> None:
    assert quantile({}, 0.5) is None
    assert quantile({3: 0}, 0.5) is None


def test_all_times_are_below_the_last_bucket() -> None:
    assert quantile({40: 3, 44: 1}, 1.0) == bounds(44)[1]
    assert quantile({40: 3, 44: 1}, 0.0) == bounds(40)[0]
