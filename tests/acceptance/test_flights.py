"""Single flight, met by reads of several keys of which one is missing."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from django_cachepatterns import hooks
from django_cachepatterns.stampede.flights import FLIGHTS
from tests.testapp.models import Item

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _items() -> None:
    Item.objects.bulk_create(
        [Item(pk=pk, name=f"Row {pk}", slug=f"row-{pk}", place=pk) for pk in (1, 2)]
    )
    Item.objects.get(pk=1)


def test_page_with_one_miss_leaves_no_flight_behind() -> None:
    Item.objects.in_bulk([1, 2])  # One flight, for the second.
    Item.objects.filter(pk=2).update(stock=7)
    began = time.monotonic()
    assert Item.objects.get(pk=2).stock == 7
    assert time.monotonic() - began < 1, "It has waited for a flight that is over."
    assert Item.objects.in_bulk([1, 2])[2].stock == 7


def test_who_joins_the_flight_of_a_page_is_given_what_it_asked_for() -> None:
    loaded, go_on = threading.Event(), threading.Event()

    def hold(details: hooks.Loaded) -> None:
        loaded.set()
        assert go_on.wait(10)

    def page() -> dict[int, Item]:
        try:
            return Item.objects.in_bulk([1, 2])
        finally:
            connection.close()

    def join() -> Item:
        try:
            return Item.objects.get(pk=2)
        finally:
            connection.close()

    with hooks.listening(before_fill=hold), ThreadPoolExecutor(2) as pool:
        leader = pool.submit(page)
        assert loaded.wait(10)
        passenger = pool.submit(join)
        ends = time.monotonic() + 1  # Less than its patience, after which it loads by itself.
        while not _passengers() and time.monotonic() < ends:
            time.sleep(0.001)
        go_on.set()
        assert leader.result().keys() == {1, 2}
        assert passenger.result().pk == 2


def _passengers() -> int:
    return sum(flight.passengers for flight in list(FLIGHTS._under_way.values()))
