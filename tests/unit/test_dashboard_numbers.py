"""How the dashboard writes and adds numbers."""

from __future__ import annotations

import pytest

from django_cachepatterns.dashboard.charts import duration
from django_cachepatterns.dashboard.saved import mean, saved
from django_cachepatterns.metrics import histogram
from django_cachepatterns.metrics.measured import Measured
from django_cachepatterns.templatetags.cachepatterns_dashboard import percent, query, short


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, "–"),  # noqa: RUF001
        (0, "0 s"),
        (0.0000005, "0.5 µs"),
        (0.00035, "350 µs"),
        (0.0042, "4.2 ms"),
        (1.3, "1.3 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7200, "2 h"),
        (172_800, "2 days"),
    ],
)
def test_times_are_in_the_unit_that_people_use(seconds: float | None, said: str) -> None:
    assert duration(seconds) == said


@pytest.mark.parametrize(
    ("share", "said"),
    [(0.8, "80.0 %"), (0.7999, "79.9 %"), (0.99999, "99.9 %"), (1.0, "100.0 %"), (0.29, "29.0 %")],
)
def test_a_share_is_not_rounded_up_to_more_than_it_is(share: float, said: str) -> None:
    assert percent(share) == said


def test_large_numbers_are_short() -> None:
    assert [short(each) for each in (999_999, 1_234_567, 2 * 10**9)] == [
        *("999,999", "1.23 million", "2 billion"),
    ]


def test_a_query_string_is_safe_in_an_attribute() -> None:
    assert query(name='"><b>&', range="15m", other=None) == "?name=%22%3E%3Cb%3E%26&amp;range=15m"


def test_saved_queries_are_calls_and_their_time_that_of_loads() -> None:
    bucket = histogram.bucket_of(0.002)
    hit = histogram.bucket_of(0.0001)
    found = saved(Measured({"hit": 5000}, {"hit": {hit: 100}, "load": {bucket: 4}}))
    assert found.queries == 100
    low, high = histogram.bounds(bucket)
    assert found.seconds == pytest.approx(100 * (low + high) / 2)


def test_without_loads_nobody_knows_the_time_saved() -> None:
    assert saved(Measured({"hit": 1}, {"hit": {3: 1}})).seconds is None
    assert mean({}) is None
