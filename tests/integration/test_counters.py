"""Counters: counted in the buffer, seen at once, and flushed to the database."""

from __future__ import annotations

import pytest
from asgiref.sync import async_to_sync
from django.db import transaction

from django_cachepatterns import metrics
from django_cachepatterns.testing import assert_store_commands, outage
from django_cachepatterns.write_behind.counter import CounterBuffer
from tests.testapp.models import Essay, Page, Visit

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


@pytest.fixture
def page() -> Page:
    return Page.objects.create(title="a", likes=None)


def in_database(page: Page) -> int:
    return Page.objects.nocache().values_list("views", flat=True).get(pk=page.pk)


def test_an_increment_is_one_command_and_no_query(page: Page, django_assert_num_queries) -> None:
    Page.view_counter.increment(page.pk)
    with assert_store_commands(1), django_assert_num_queries(0):
        Page.view_counter.increment(page.pk)


def test_what_waits_is_seen_at_once_and_flushed_once(page: Page) -> None:
    Page.view_counter.increment(page.pk)
    page.view_counter.increment(by=2)
    Page.view_counter.increment_many({page.pk: 4, page.pk + 1: 9})
    assert page.view_counter.value == 7
    assert Page.view_counter.values([page.pk, page.pk + 1]) == {page.pk: 7}
    assert Page.view_counter.pending() == 16
    assert Page.view_counter.pending(page.pk) == page.view_counter.pending() == 7
    assert in_database(page) == 0
    done = Page.view_counter.flush()
    assert (done.batches, done.rows, done.dropped, done.refused) == (1, 1, 1, 0)
    assert in_database(page) == page.view_counter.value == 7
    assert Page.view_counter.pending() == 0
    done = Page.view_counter.flush()
    assert (done.batches, done.rows) == (0, 0)
    assert in_database(page) == 7


def test_a_flush_invalidates_the_rows(page: Page) -> None:
    assert Page.objects.get(pk=page.pk).views == 0
    Page.view_counter.increment(page.pk, 3)
    assert Page.objects.get(pk=page.pk).views == 0
    Page.view_counter.flush()
    assert Page.objects.get(pk=page.pk).views == 3


def test_amounts_may_be_negative(page: Page) -> None:
    Page.view_counter.increment(page.pk, 5)
    Page.view_counter.increment(page.pk, -2)
    assert page.view_counter.value == 3
    Page.view_counter.flush()
    assert in_database(page) == 3


def test_null_counts_as_zero(page: Page) -> None:
    page.like_counter.increment()
    assert page.like_counter.value == 1
    Page.like_counter.flush()
    page.refresh_from_db()
    assert page.likes == page.like_counter.value == 1


def test_counters_of_a_parent_are_its_children_s(page: Page) -> None:
    essay = Essay.objects.create(title="e")
    essay.view_counter.increment()
    essay.word_counter.increment(by=100)
    assert Essay.view_counter is Page.view_counter
    assert Page.view_counter.pending() == 1
    assert Essay.objects.get(pk=essay.pk).views == 0
    Page.view_counter.flush()
    Essay.word_counter.flush()
    found = Essay.objects.get(pk=essay.pk)
    assert (found.views, found.words) == (1, 100)


def test_keys_that_are_no_integers() -> None:
    visit = Visit.objects.create()
    visit.hit_counter.increment()
    Visit.hit_counter.increment(str(visit.pk))
    assert visit.hit_counter.value == 2
    Visit.hit_counter.flush()
    visit.refresh_from_db()
    assert visit.hits == visit.hit_counter.value == 2


def test_a_buffer_says_what_it_is() -> None:
    assert repr(Page.view_counter) == "<Counter testapp.Page.views>"


def test_on_commit_counts_only_if_the_transaction_commits() -> None:
    visit = Visit.objects.create()
    with transaction.atomic():
        visit.hit_counter.increment()
        assert Visit.hit_counter.pending() == 0
    assert Visit.hit_counter.pending() == 1
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        visit.hit_counter.increment()
        1 / 0  # noqa: B018
    assert Visit.hit_counter.pending() == 1


def test_without_the_server_increments_go_to_the_database(page: Page) -> None:
    before = metrics.by_family().get("testapp.Page.views", {}).get("direct", 0)
    with outage():
        page.view_counter.increment(by=3)
        assert page.view_counter.value == 3
    assert in_database(page) == 3
    assert metrics.by_family()["testapp.Page.views"]["direct"] == before + 1


@pytest.mark.parametrize("amount", [1.5, "1", True, None])
def test_an_amount_that_is_no_int_is_refused(page: Page, amount: object) -> None:
    with pytest.raises(TypeError, match="must be an int"):
        page.view_counter.increment(by=amount)


def test_amounts_that_are_no_dict_are_refused(page: Page) -> None:
    with pytest.raises(TypeError, match=r"such as \{42: 3\}"):
        Page.view_counter.increment_many([page.pk])


def test_an_unsaved_instance_is_refused() -> None:
    with pytest.raises(TypeError, match="Save it first"):
        Page().view_counter.increment()


def test_the_value_of_a_row_that_is_gone(page: Page) -> None:
    pk = page.pk
    page.view_counter.increment()
    Page.objects.all().delete()
    page.pk = pk
    with pytest.raises(Page.DoesNotExist):
        assert page.view_counter.value
    assert Page.view_counter.flush().dropped == 1


def test_values_where_thousands_of_batches_wait(page: Page) -> None:
    """More than a statement may have columns: 1,664 on PostgreSQL."""
    buffer = CounterBuffer(Page, "views", batch_rows=1)
    for _ in range(1700):
        buffer.increment(page.pk)
    assert len(buffer.backlog()) == 1700
    assert buffer.values([page.pk]) == {page.pk: 1700}
    assert buffer.pending(page.pk) == 1700


def test_in_a_coroutine(page: Page) -> None:
    async def count() -> None:
        await Page.view_counter.aincrement(page.pk)
        await page.view_counter.aincrement(by=2)
        await Page.view_counter.aincrement_many({page.pk: 4})
        assert await page.view_counter.avalue() == 7
        assert await Page.view_counter.avalues([page.pk]) == {page.pk: 7}
        assert await Page.view_counter.apending() == await page.view_counter.apending() == 7

    async_to_sync(count)()
