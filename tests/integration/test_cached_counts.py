"""Live values of cached rows: one command, and no query, where that is enough to know."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections, transaction
from django.test.utils import CaptureQueriesContext

from django_cachepatterns.testing import assert_store_commands
from django_cachepatterns.write_behind.counter import CounterBuffer
from tests.testapp.models import Essay, Page, Visit

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


@pytest.fixture
def page() -> Page:
    page = Page.objects.create(views=10)
    Page.objects.get(pk=page.pk)
    return page


def queries_of(read: Callable[[], Any]) -> tuple[Any, int]:
    with CaptureQueriesContext(connections["default"]) as asked:
        value = read()
    return value, len(asked)


def test_a_cached_row_s_value_is_one_command(page: Page) -> None:
    page.view_counter.increment(by=2)
    with assert_store_commands(1):
        assert queries_of(lambda: page.view_counter.value) == (12, 0)
    other = Page.objects.create(likes=None)
    Page.objects.get(pk=other.pk)
    with assert_store_commands(1):
        found, queries = queries_of(lambda: Page.view_counter.values([page.pk, other.pk]))
    assert (found, queries) == ({page.pk: 12, other.pk: 0}, 0)
    assert queries_of(lambda: other.like_counter.value) == (0, 0)


def test_rows_that_are_not_cached_are_asked_for_together(page: Page) -> None:
    others = Page.objects.bulk_create(Page(views=n) for n in range(3))
    pks = [page.pk, *(each.pk for each in others)]
    found, queries = queries_of(lambda: Page.view_counter.values(pks))
    assert (list(found.values()), queries) == ([10, 0, 1, 2], 1)


def test_while_a_sealed_batch_waits_the_ledger_is_asked(page: Page) -> None:
    page.view_counter.increment()
    buffer = Page.view_counter
    buffer.server().seal(buffer.keys())
    assert queries_of(lambda: page.view_counter.value) == (11, 1)
    buffer.flush()
    Page.objects.get(pk=page.pk)
    assert queries_of(lambda: page.view_counter.value) == (11, 0)


def test_a_batch_of_an_earlier_run_of_the_server_may_be_in_the_row(
    page: Page, redis_client: Any
) -> None:
    page.view_counter.increment()
    redis_client.hset(Page.view_counter.keys().batches[1], "epoch", "another!")
    assert queries_of(lambda: page.view_counter.value) == (11, 1)


def test_a_row_that_is_being_written_is_asked_of_the_database(page: Page, elsewhere: Any) -> None:
    with transaction.atomic():
        Page.objects.filter(pk=page.pk).update(views=20)
        assert elsewhere(lambda: page.view_counter.value) == 10
        assert page.view_counter.value == 20
    assert page.view_counter.value == 20


def test_writes_past_the_counter_are_seen(page: Page) -> None:
    page.view_counter.increment()
    Page.objects.filter(pk=page.pk).update(views=0)
    Page.objects.get(pk=page.pk)
    assert queries_of(lambda: page.view_counter.value) == (1, 0)


def test_rows_that_age_are_asked_of_the_database(page: Page, settings: Any) -> None:
    policies = {"testapp.Page": {"invalidation": "ttl"}}
    settings.CACHEPATTERNS = {**settings.CACHEPATTERNS, "POLICIES": policies}
    Page.objects.get(pk=page.pk)
    Page.objects.filter(pk=page.pk).update(views=30)
    assert queries_of(lambda: page.view_counter.value) == (30, 1)


def test_models_that_are_not_cached_cost_no_third_trip() -> None:
    visit = Visit.objects.create()
    with assert_store_commands(1):
        assert queries_of(lambda: visit.hit_counter.value) == (0, 1)


def test_a_child_s_cached_row_is_not_its_parent_s() -> None:
    essay = Essay.objects.create(views=3)
    Essay.objects.get(pk=essay.pk)
    assert essay.view_counter.value == 3
    Page.objects.get(pk=essay.pk)
    essay.view_counter.increment()
    assert queries_of(lambda: essay.view_counter.value) == (4, 0)
    Page.view_counter.flush()
    Page.objects.get(pk=essay.pk)
    assert queries_of(lambda: essay.view_counter.value) == (4, 0)


def test_values_never_go_back_while_rows_are_cached_and_flushed(page: Page) -> None:
    stop = threading.Event()
    faults: list[Any] = []
    quick = [0]
    counter = CounterBuffer(Page, "views")

    def read() -> None:
        last = 0
        try:
            while not stop.is_set():
                Page.objects.get(pk=page.pk)
                with CaptureQueriesContext(connections["default"]) as asked:
                    value = counter.values([page.pk])[page.pk]
                quick[0] += not len(asked)
                if value < last:
                    faults.append((last, value))
                last = value
        finally:
            connections.close_all()

    def flush() -> None:
        try:
            # While a batch is on its way, rows are read: there has to be time without any.
            while not stop.wait(0.01):
                counter.flush()
        finally:
            connections.close_all()

    threads = [threading.Thread(target=each) for each in (read, read, flush)]
    for thread in threads:
        thread.start()
    for number in range(1500):
        counter.increment(page.pk)
        if number % 50 == 0 and counter.values([page.pk])[page.pk] != number + 11:
            faults.append(number)
    stop.set()
    for thread in threads:
        thread.join(20)
    assert faults == []
    assert quick[0] > 20
