"""What is said of policies that serve few of their reads."""

from __future__ import annotations

import pytest

from django_cachepatterns import CachePolicy
from django_cachepatterns.dashboard.advice import Advice, Case, advise
from django_cachepatterns.metrics.measured import Measured

HOUR = 3600


def advised(policy: CachePolicy | None = None, span: int = HOUR, **counts: int) -> list[Advice]:
    return advise(Case(Measured(counts), policy or CachePolicy(), span))


def causes(policy: CachePolicy | None = None, span: int = HOUR, **counts: int) -> list[str]:
    return [each.cause for each in advised(policy, span, **counts)]


def test_nothing_is_said_above_the_line() -> None:
    assert not advised(hit=80, miss=20, load=20, fill=20)


def test_nothing_is_said_of_few_reads() -> None:
    assert not advised(miss=49, load=49, fill=49)


def test_nothing_is_said_of_what_is_not_read() -> None:
    assert not advised(flushed=100)


def test_a_ttl_that_is_too_short() -> None:
    (said,) = advised(CachePolicy(ttl=60), hit=500, miss=500, load=500, fill=500)
    assert said.cause == "ttl"
    assert "500 values were stored and served 500 reads: 1.0 each" in said.fault
    assert "before the ttl of 60 seconds was over" in said.fault
    assert said.remedy == "Raise the ttl: writes end what is stored, whatever its ttl."


def test_a_ttl_that_is_all_that_ends_entries() -> None:
    policy = CachePolicy(ttl=60, invalidation="ttl")
    (said,) = advised(policy, hit=500, miss=500, load=500, fill=500)
    assert "as much as it may be out of date" in said.remedy


def test_what_lives_longer_than_the_range_has_not_expired_in_it() -> None:
    (said,) = advised(CachePolicy(ttl=2 * HOUR), hit=500, miss=500, load=500, fill=500)
    assert said.cause == "young"
    assert "1.0 each, so far" in said.fault
    (said,) = advised(CachePolicy(ttl=2 * HOUR), hit=10, miss=990, load=990, fill=990)
    assert said.cause == "once"
    assert "which lives for 2 hours" in said.fault


def test_what_lives_for_a_time_that_nobody_knows_is_not_said_to_be_asked_for_once() -> None:
    (said,) = advise(Case(Measured({"hit": 500, "miss": 500, "fill": 500}), None, HOUR))
    assert said.cause == "young"
    assert "not known to this process" in said.fault


def test_what_is_never_asked_for_twice() -> None:
    (said,) = advised(CachePolicy(ttl=60), hit=10, miss=990, load=990, fill=990)
    assert said.cause == "once"
    assert "served 10 reads: 0.0 each" in said.fault
    assert "admit_after=2" in said.remedy


def test_what_is_written_more_often_than_read() -> None:
    (said,) = advised(hit=100, miss=300, load=300, fill=300, invalidation=250)
    assert said.cause == "invalidated"
    assert "invalidated at least 250 times, and served 100 reads" in said.fault


@pytest.mark.parametrize(
    ("kind", "remedy"),
    [
        ("rows", "pattern='cache_aside'"),
        ("lists", "without .cache()"),
        ("function", "depend on less"),
        ("values", "depend on less"),
        ("fragments", "depend on less"),
    ],
)
def test_what_to_do_about_writes_fits_what_is_cached(kind: str, remedy: str) -> None:
    measured = Measured({"hit": 100, "miss": 300, "load": 300, "fill": 300, "invalidation": 250})
    (said,) = advise(Case(measured, CachePolicy(), HOUR, kind))
    assert remedy in said.remedy


def test_a_write_ends_the_lookups_of_its_row_too() -> None:
    policy = CachePolicy(ttl=60, lookups=["slug", "sku"])
    found = advised(policy, hit=500, miss=300, load=300, fill=300, invalidation=600)
    assert [each.cause for each in found] == ["written"]
    assert "until at least 200 writes ended them" in found[0].fault


def test_lists_are_ended_by_what_they_depend_on() -> None:
    (said,) = advised(hit=100, miss=300, load=300, fill=300, outdated=280)
    assert said.cause == "invalidated"


def test_what_writes_end_before_it_has_served_enough() -> None:
    (said,) = advised(CachePolicy(ttl=60), hit=300, miss=200, load=200, fill=200, invalidation=150)
    assert said.cause == "written"
    assert "200 values were stored and served 300 reads: 1.5 each" in said.fault
    assert "until at least 150 writes ended them" in said.fault


def test_reads_around_the_cache() -> None:
    (said,) = advised(hit=100, bypass=100)
    assert said.cause == "bypass"
    assert "100 of 200 (50%) reads went around the cache" in said.fault


def test_loads_that_are_not_stored() -> None:
    assert "refused_fill" in causes(miss=100, load=100, refused_fill=100)
    assert "unencodable" in causes(miss=100, load=100, unencodable=100)
    (said,) = advised(CachePolicy(max_size=1000), miss=100, load=100, oversize=100)
    assert said.cause == "oversize"
    assert "100 of 100 (100%) loaded values were larger than 1,000 bytes" in said.fault


def test_keys_that_are_too_cold() -> None:
    (said,) = advised(CachePolicy(admit_after=3), miss=100, load=100, not_admitted=100)
    assert said.cause == "not_admitted"
    assert "had not been asked for 3 times" in said.fault


def test_a_server_that_does_not_answer() -> None:
    assert causes(outage=100) == ["outage"]
    assert causes(timed_out=100) == ["timed_out"]


def test_the_weightiest_cause_comes_first_and_the_lightest_is_left_out() -> None:
    found = causes(hit=100, bypass=300, timed_out=100, outage=1)
    assert found == ["bypass", "timed_out"]


def test_no_more_than_three_causes_are_told() -> None:
    found = causes(bypass=100, timed_out=100, outage=100, miss=100, load=100, refused_fill=100)
    assert len(found) == 3


def test_what_no_number_explains_is_said_to_be_so() -> None:
    (said,) = advised(miss=100, load=100)
    assert said.cause == "unknown"
    assert "ENABLED" in said.remedy


@pytest.mark.parametrize("policy", [CachePolicy(), None])
def test_it_does_without_knowing_the_policy(policy: CachePolicy | None) -> None:
    case = Case(Measured({"miss": 100, "fill": 100, "load": 100, "not_admitted": 50}), policy, HOUR)
    assert [each.cause for each in advise(case)] == ["once", "not_admitted"]
