"""Single flight, met by reads of several keys of which one is missing."""

from __future__ import annotations

import time

import pytest

from tests.testapp.models import Item

pytestmark = pytest.mark.django_db(transaction=True)


def test_page_with_one_miss_leaves_no_flight_behind() -> None:
    Item.objects.bulk_create(
        [Item(pk=pk, name=f"Row {pk}", slug=f"row-{pk}", place=pk) for pk in (1, 2)]
    )
    Item.objects.get(pk=1)
    Item.objects.in_bulk([1, 2])  # One flight, for the second.
    Item.objects.filter(pk=2).update(stock=7)
    began = time.monotonic()
    assert Item.objects.get(pk=2).stock == 7
    assert time.monotonic() - began < 1, "It has waited for a flight that is over."
    assert Item.objects.in_bulk([1, 2])[2].stock == 7
