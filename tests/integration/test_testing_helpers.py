"""What projects test with."""

from __future__ import annotations

import time
from typing import Any

import pytest

from django_cachepatterns.testing import (
    assert_cache_hits,
    assert_store_commands,
    latency,
    outage,
)
from tests.testapp.models import Shelf

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def shelf() -> Shelf:
    shelf = Shelf.objects.create(name="one")
    Shelf.objects.get(pk=shelf.pk)
    return shelf


def test_hits_are_counted(shelf: Shelf) -> None:
    with assert_cache_hits(2):
        Shelf.objects.get(pk=shelf.pk)
        Shelf.objects.get(pk=shelf.pk)
    with assert_cache_hits(1, "testapp.shelf"):
        Shelf.objects.get(pk=shelf.pk)
    with assert_cache_hits(0, "testapp.item"):
        Shelf.objects.get(pk=shelf.pk)


def test_another_number_of_hits_fails_and_says_what_was_counted(shelf: Shelf) -> None:
    said = r"1 cache hits, 2 expected; counted: .*'hit': 1"
    with pytest.raises(AssertionError, match=said), assert_cache_hits(2):
        Shelf.objects.get(pk=shelf.pk)


def test_commands_are_counted_and_named(shelf: Shelf) -> None:
    with assert_store_commands(1) as sent:
        Shelf.objects.get(pk=shelf.pk)
    assert sent == ["GET"]
    with assert_store_commands(2):
        Shelf.objects.get(pk=shelf.pk)
        list(Shelf.objects.filter(pk__in=[shelf.pk]))
    said = "1 store commands, 0 expected: GET"
    with pytest.raises(AssertionError, match=said), assert_store_commands(0):
        Shelf.objects.get(pk=shelf.pk)


def test_in_an_outage_the_database_is_read(shelf: Shelf, django_assert_num_queries: Any) -> None:
    with outage(), django_assert_num_queries(1):
        assert Shelf.objects.get(pk=shelf.pk) == shelf
    with django_assert_num_queries(0):
        Shelf.objects.get(pk=shelf.pk)


def test_an_outage_ends_with_its_block(shelf: Shelf) -> None:
    with pytest.raises(RuntimeError), outage():
        raise RuntimeError
    with assert_cache_hits(1):
        Shelf.objects.get(pk=shelf.pk)


def test_latency_is_added(shelf: Shelf) -> None:
    began = time.perf_counter()
    with latency(20):
        Shelf.objects.get(pk=shelf.pk)
    assert time.perf_counter() - began >= 0.02
