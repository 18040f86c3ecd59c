"""What is not cached: what is too large, cannot be carried, or is hardly asked for."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from django_cachepatterns import metrics
from tests.testapp.models import Shelf, TextRow

pytestmark = pytest.mark.django_db(transaction=True)


def policies(settings: Any, label: str, **changes: Any) -> None:
    settings.CACHEPATTERNS = {**settings.CACHEPATTERNS, "POLICIES": {label: changes}}


def test_a_row_over_the_limit_is_served_counted_and_said_once(
    settings: Any, caplog: Any, django_assert_num_queries: Any
) -> None:
    policies(settings, "testapp.TextRow", max_size=200)
    TextRow.objects.create(code="s" * 10)
    big = [TextRow.objects.create(code=f"{n}" * 190) for n in range(3)]
    before = metrics.snapshot()
    with caplog.at_level(logging.WARNING):
        for row in big * 2:
            with django_assert_num_queries(1):
                assert TextRow.objects.get(pk=row.pk) == row
    after = metrics.snapshot()
    assert after["oversize"] - before["oversize"] == 3  # Then it is known, and no lease is taken.
    said = [record.message for record in caplog.records if "not cached" in record.message]
    assert len(said) == 1
    assert "the limit is 200" in said[0]
    TextRow.objects.get(pk="s" * 10)
    with django_assert_num_queries(0):
        TextRow.objects.get(pk="s" * 10)


def test_a_cold_key_is_kept_out_until_it_was_asked_for_often_enough(
    settings: Any, django_assert_num_queries: Any
) -> None:
    policies(settings, "testapp.Shelf", admit_after=3)
    shelf = Shelf.objects.create(name="one")
    for _ in range(3):
        with django_assert_num_queries(1):
            Shelf.objects.get(pk=shelf.pk)
    with django_assert_num_queries(0):
        Shelf.objects.get(pk=shelf.pk)


def test_what_is_not_admitted_is_counted(settings: Any) -> None:
    policies(settings, "testapp.Shelf", admit_after=2)
    shelf = Shelf.objects.create(name="two")
    before = metrics.snapshot()["not_admitted"]
    Shelf.objects.get(pk=shelf.pk)
    assert metrics.snapshot()["not_admitted"] == before + 1


def test_a_cached_list_over_the_limit_is_served(
    settings: Any, django_assert_num_queries: Any
) -> None:
    Shelf.objects.bulk_create([Shelf(name=str(n)) for n in range(50)])
    names = Shelf.objects.order_by("pk").cache(max_size=100)
    for _ in range(2):
        with django_assert_num_queries(1):
            assert len(list(names.values_list("name", flat=True))) == 50
