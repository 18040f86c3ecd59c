from __future__ import annotations

import math
import random

import pytest

from django_cachepatterns.stampede import early
from django_cachepatterns.stampede.early import is_due

NOW, COST = 1_700_000_000_000.0, 50.0
DRAWS = 20_000


@pytest.fixture(autouse=True)
def _same_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(early.random, "random", random.Random(42).random)


def share_that_is_due(before_expiry: float, cost: float = COST, beta: float = 1.0) -> float:
    """The share of readers that refresh, so many milliseconds before the value expires."""
    due = sum(is_due(NOW, NOW + before_expiry, cost, beta) for _ in range(DRAWS))
    return due / DRAWS


@pytest.mark.parametrize("before", [0.0, -1.0, -10_000.0])
def test_every_reader_refreshes_what_has_expired(before: float) -> None:
    assert share_that_is_due(before) == 1.0


@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("costs", [0.5, 1.0, 2.0, 4.0])
def test_readers_refresh_with_the_probability_that_the_paper_gives(
    costs: float, beta: float
) -> None:
    expected = math.exp(-costs / beta)
    assert share_that_is_due(costs * COST, beta=beta) == pytest.approx(expected, abs=0.015)


def test_nobody_refreshes_long_before_the_end() -> None:
    assert share_that_is_due(100 * COST) == 0.0


def test_what_costs_nothing_is_not_refreshed_early() -> None:
    assert share_that_is_due(0.001, cost=0.0) == 0.0


def test_what_costs_more_is_refreshed_earlier() -> None:
    assert share_that_is_due(100.0, cost=200.0) > share_that_is_due(100.0, cost=20.0) + 0.5


def test_the_extremes_of_chance_are_no_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    for drawn, due in ((0.0, False), (math.nextafter(1.0, 0.0), True)):
        monkeypatch.setattr(early.random, "random", lambda drawn=drawn: drawn)
        assert is_due(NOW, NOW + COST, COST, 1.0) is due
