from __future__ import annotations

import threading
from concurrent.futures import TimeoutError as FutureTimeout

import pytest

from django_cachepatterns.stampede.flights import FLIGHTS, Flights
from tests.forks import in_child


@pytest.fixture
def flights() -> Flights:
    return Flights()


def test_the_first_goes_and_the_others_join(flights: Flights) -> None:
    flight, leads = flights.join(b"key")
    assert leads
    assert [flights.join(b"key") for _ in range(3)] == [(flight, False)] * 3


def test_each_course_has_a_flight_of_its_own(flights: Flights) -> None:
    one, _ = flights.join(b"one")
    other, leads = flights.join(b"other")
    assert leads
    assert one is not other


def test_nobody_joins_a_flight_that_is_closed(flights: Flights) -> None:
    """It may have looked by now: what it shows may be older than who comes now."""
    first, _ = flights.join(b"key")
    assert not flights.close(first)
    second, leads = flights.join(b"key")
    assert leads
    assert second is not first


def test_closing_tells_whether_anybody_has_joined(flights: Flights) -> None:
    flight, _ = flights.join(b"key")
    flights.join(b"key")
    assert flights.close(flight)


def test_closing_twice_leaves_the_next_flight_alone(flights: Flights) -> None:
    first, _ = flights.join(b"key")
    flights.close(first)
    second, _ = flights.join(b"key")
    flights.close(first)
    assert flights.join(b"key") == (second, False)


def test_who_joined_is_told(flights: Flights) -> None:
    flight, _ = flights.join(b"key")
    flights.join(b"key")
    with pytest.raises(FutureTimeout):
        flight.future.result(0)
    flight.land([b"V"])
    assert flight.future.result(0) == [b"V"]


def test_landing_again_changes_nothing(flights: Flights) -> None:
    flight, _ = flights.join(b"key")
    flight.land(None)
    flight.land([b"V"])
    assert flight.future.result(0) is None


def test_just_one_of_many_threads_goes(flights: Flights) -> None:
    leaders: list[bool] = []
    ready = threading.Barrier(16)

    def join() -> None:
        ready.wait(10)
        leaders.append(flights.join(b"key")[1])

    threads = [threading.Thread(target=join) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(leaders) == [False] * 15 + [True]


def test_a_forked_child_goes_itself() -> None:
    """The thread that its parent's flight is waiting for is not in it."""
    flight, leads = FLIGHTS.join(b"forked")
    assert leads
    with FLIGHTS._lock:  # As another thread may hold it, in the moment of the fork.
        assert in_child(lambda: repr(FLIGHTS.join(b"forked")[1])) == "True"
    assert FLIGHTS.join(b"forked") == (flight, False)
    FLIGHTS.close(flight)
