"""Figures over time: what was sent, in three resolutions, against a plain account of it."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import pytest

from django_cachepatterns import conf
from django_cachepatterns.metrics import history
from django_cachepatterns.metrics.rollup import roll_up
from django_cachepatterns.stores import RedisFigures, figures_of

MIDNIGHT = 1_800_000_000 // 86400 * 86400
NOW = MIDNIGHT + 20 * 86400 + 15 * 3600 + 40 * 60 + 30
NAMES = ("hit", "miss", "hit:37", "load:50")
FAMILIES = ("shop.product", "shop.product:list", "fragment a|b", "")


class Account:
    """What was sent, the plain way."""

    def __init__(self) -> None:
        self._sent: list[tuple[int, str, str, int]] = []
        self._figures: RedisFigures = figures_of(conf.config())

    def send(self, second: int, numbers: dict[tuple[str, str], int]) -> None:
        fields = {f"{name}|{family}": by for (family, name), by in numbers.items()}
        self._figures.add(os.urandom(8).hex().encode(), 1, fields, {}, second)
        self._sent += [(second, family, name, by) for (family, name), by in numbers.items()]

    def totals(self, start: int, end: int) -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = {}
        for second, family, name, by in self._sent:
            if start <= second // 60 * 60 <= end:
                own = found.setdefault(family, {})
                own[name] = own.get(name, 0) + by
        return found


@pytest.fixture
def account() -> Account:
    return Account()


def numbers_of(measured: history.Measured) -> dict[str, int]:
    """Numbers by the names that they are sent under."""
    timed = {
        f"{kind}:{bucket}": number
        for kind, buckets in measured.times.items()
        for bucket, number in buckets.items()
    }
    return {name: number for name, number in {**measured.counts, **timed}.items() if number}


def some(chance: random.Random) -> dict[tuple[str, str], int]:
    return {
        (family, name): chance.randrange(1, 1000)
        for family in FAMILIES
        for name in NAMES
        if chance.random() < 0.6
    }


def assert_told(account: Account, now: int, names: Iterator[str] | tuple[str, ...]) -> None:
    for name in names:
        chosen = history.RANGES[name]
        start = chosen.start(now)
        told = account.totals(start, now)
        # The family without a name is of marks; as a family of its own it is asked for by totals.
        found = {each: numbers_of(own) for each, own in history.totals(name, now).items()}
        assert found == told, name
        for family in (*FAMILIES[:-1], None):
            course = history.over_time(name, family, now)
            assert [second for second, _ in course] == list(
                range(start, start + chosen.step * chosen.points, chosen.step)
            )
            for second, measured in course:
                expected = account.totals(second, min(second + chosen.step - 1, now))
                chosen_families = [family] if family is not None else list(expected)
                numbers: dict[str, int] = {}
                for each in chosen_families:
                    for key, number in expected.get(each, {}).items():
                        numbers[key] = numbers.get(key, 0) + number
                assert numbers_of(measured) == numbers, (name, family, second)


@pytest.mark.parametrize("seed", range(4))
def test_what_was_sent_is_told_however_it_is_rolled_up(account: Account, seed: int) -> None:
    chance = random.Random(seed)
    now = NOW - 25 * 3600
    while now < NOW:
        now += chance.choice([5, 20, 61, 600, 3600])
        account.send(now, some(chance))
        if chance.random() < 0.3:
            roll_up(now=now)
        if chance.random() < 0.1:
            roll_up(now=now)
    assert_told(account, now, tuple(history.RANGES))


def test_a_year_of_days(account: Account) -> None:
    chance = random.Random(7)
    for days in range(364, 0, -13):
        second = NOW - days * 86400
        account.send(second, some(chance))
        roll_up(now=second + 3600)
    account.send(NOW - 30, some(chance))
    assert_told(account, NOW, ("15m", "hour", "day", "year"))


def test_without_rolling_up_minutes_tell_a_day(account: Account) -> None:
    chance = random.Random(8)
    for minutes in range(0, 24 * 60, 37):
        account.send(NOW - minutes * 60, some(chance))
    assert_told(account, NOW, ("15m", "hour", "day"))


def test_many_minutes_that_wait_are_all_rolled_up(account: Account) -> None:
    for minutes in range(150, -1, -1):
        account.send(NOW - minutes * 60, {("a", "hit"): 1})
    assert roll_up(now=NOW) == 150
    assert roll_up(now=NOW) == 0
    assert history.totals("day", NOW)["a"].counts == {"hit": 151}


def test_rolling_up_again_after_the_place_was_lost_counts_nothing_twice(
    account: Account, redis_client: object
) -> None:
    for minutes in (90, 30, 2):
        account.send(NOW - minutes * 60, {("a", "hit"): 5})
    assert roll_up(now=NOW) == 3
    redis_client.delete(conf.config().metrics_keys().rolled)  # type: ignore[attr-defined]
    account.send(NOW - 60, {("a", "hit"): 1})
    assert roll_up(now=NOW) == 1
    assert_told(account, NOW, ("hour", "day", "month", "year"))


def test_of_two_that_roll_up_at_once_one_is_late_and_changes_nothing(account: Account) -> None:
    account.send(NOW - 120, {("a", "hit"): 5})
    figures = figures_of(conf.config())
    seen = figures.read(0, now=NOW)
    assert roll_up(now=NOW) == 1
    assert not figures.roll(seen.rolled, seen.minute, seen.minutes, ())
    assert history.totals("hour", NOW)["a"].counts == {"hit": 5}


def test_the_same_number_of_a_sender_is_added_once() -> None:
    figures = figures_of(conf.config())
    for _ in range(3):
        figures.add(b"sender", 1, {"hit|a": 2}, {b"a\0k": 64}, NOW)
    figures.add(b"sender", 2, {"hit|a": 2}, {}, NOW)
    assert history.totals("hour", NOW)["a"].counts == {"hit": 4}
    assert history.hottest(5, now=NOW) == [("k", 64)]


@pytest.mark.parametrize("back", [5, 40 * 60, 5 * 3600])
def test_a_clock_that_is_set_back_loses_nothing(account: Account, back: int) -> None:
    account.send(NOW, {("a", "hit"): 1})
    roll_up(now=NOW + 60)
    account.send(NOW - back, {("a", "hit"): 2})
    roll_up(now=NOW - back + 120)
    account.send(NOW + 30, {("a", "hit"): 4})
    roll_up(now=NOW + 180)
    assert history.totals("day", NOW + 180)["a"].counts == {"hit": 7}


def test_a_clock_that_was_years_ahead_for_a_moment(account: Account) -> None:
    account.send(NOW + 3 * 365 * 86400, {("a", "hit"): 1})
    roll_up(now=NOW + 3 * 365 * 86400 + 60)
    account.send(NOW, {("a", "hit"): 2})
    assert history.totals("hour", NOW)["a"].counts == {"hit": 2}
    roll_up(now=NOW + 120)
    assert history.totals("hour", NOW + 120)["a"].counts == {"hit": 2}


def test_figures_of_a_newer_version_are_passed_over() -> None:
    fields = {"hit|a": 2, "hit:slow|a": 1, "hit:37:1|a": 1, "guess|a": 3, "of no family": 1}
    figures_of(conf.config()).add(b"newer", 1, fields, {}, NOW)
    for now in (NOW, NOW + 120):
        roll_up(now=now)
        assert history.totals("hour", now)["a"].counts == {"hit": 2, "guess": 3}
        assert history.over_time("hour", "a", now)
