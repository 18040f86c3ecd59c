"""Buffers that are full, servers that hang or are gone, replies that are lost."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.test import override_settings

from django_cachepatterns import metrics
from django_cachepatterns.exceptions import BufferFull, OutcomeUnknown, PolicyError
from django_cachepatterns.models import DeadLetter, LedgerEntry
from django_cachepatterns.stores import channel
from django_cachepatterns.testing import outage
from django_cachepatterns.write_behind.counter import CounterBuffer
from example_project.servers import Valkey
from tests.testapp.models import Page

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def server(own_valkey: Valkey) -> Any:
    caches = {
        "default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": own_valkey.url},
    }
    with override_settings(CACHES=caches, CACHEPATTERNS={"TIMEOUT": 0.1, "DRAIN_AT_EXIT": False}):
        yield own_valkey


@pytest.fixture
def page() -> Page:
    return Page.objects.create()


def counted(outcome: str, name: str = "testapp.Page.views") -> int:
    return metrics.by_family().get(name, {}).get(outcome, 0)


def views(page: Page) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT views FROM testapp_page WHERE id = %s", [page.pk])
        return cursor.fetchone()[0]


@pytest.fixture
def small() -> CounterBuffer:
    return CounterBuffer(Page, "views", max_pending=3, batch_rows=2)


def test_above_max_pending_increments_go_to_the_database(small: CounterBuffer) -> None:
    pages = Page.objects.bulk_create(Page() for _ in range(5))
    full = counted("full")
    for page in pages:
        small.increment(page.pk)
    assert [views(page) for page in pages] == [0, 0, 0, 1, 1]
    assert counted("full") == full + 2
    assert sum(each.rows for each in small.backlog()) == 3
    assert [page.view_counter.value for page in pages] == [1] * 5
    small.flush()
    small.increment(pages[0].pk)
    assert [views(page) for page in pages] == [1] * 5  # There is room again.
    small.flush()
    assert [views(page) for page in pages] == [2, 1, 1, 1, 1]


def test_what_was_flushed_meanwhile_leaves_room(small: CounterBuffer) -> None:
    pages = Page.objects.bulk_create(Page() for _ in range(4))
    for page in pages[:3]:
        small.increment(page.pk)  # Two in a sealed batch, one in the active one.
    (oldest, _) = small.server().seal(small.keys())[1][0], None
    small.server().ack(small.keys(), oldest)()
    full = counted("full")
    small.increment(pages[3].pk)
    assert counted("full") == full


def test_above_max_pending_increments_may_raise() -> None:
    small = CounterBuffer(Page, "views", max_pending=1, when_full="raise")
    pages = Page.objects.bulk_create(Page() for _ in range(2))
    small.increment(pages[0].pk)
    with pytest.raises(BufferFull, match="1 rows wait"):
        small.increment(pages[1].pk)
    assert views(pages[1]) == 0
    assert small.pending() == 1


def test_a_server_that_is_gone_costs_an_update_each(server: Valkey, page: Page) -> None:
    Page.view_counter.increment(page.pk)
    Page.view_counter.flush()
    direct = counted("direct")
    server.kill()
    page.view_counter.increment()
    Page.view_counter.increment_many({page.pk: 3})
    assert views(page) == page.view_counter.value == 5
    assert counted("direct") == direct + 2
    server.start()
    page.view_counter.increment()
    assert views(page) == 5
    assert page.view_counter.value == 6


def test_a_reply_that_is_lost_may_count_twice_without_strict(server: Valkey, page: Page) -> None:
    page.view_counter.increment()
    unknown = counted("unknown")
    server.pause()
    page.view_counter.increment()
    server.resume()
    assert counted("unknown") == unknown + 1
    assert views(page) == 1  # Written at once, and the server carries its own out now.
    Page.view_counter.flush()
    assert views(page) in (2, 3)


def test_a_reply_that_is_lost_counts_once_with_strict(
    server: Valkey, page: Page, monkeypatch: Any
) -> None:
    page.view_counter.increment(strict=True)
    server.pause()
    sent = []
    plain = channel.Channel.call_once

    def resumed_after_the_first(self: Any, pack: Any, count: int = 1) -> Any:
        sent.append(count)
        if len(sent) == 2:
            server.resume()
        return plain(self, pack, count)

    monkeypatch.setattr(channel.Channel, "call_once", resumed_after_the_first)
    page.view_counter.increment(strict=True)
    assert len(sent) == 2
    assert views(page) == 0
    assert page.view_counter.value == 2


def test_an_operation_of_the_callers_own_counts_once_however_often(page: Page) -> None:
    for _ in range(3):
        page.view_counter.increment(operation="order 17")
    page.view_counter.increment(operation="order 18")
    assert page.view_counter.value == 2


def test_nobody_knows_and_the_caller_is_told_how_to_try_again(server: Valkey, page: Page) -> None:
    page.view_counter.increment(strict=True)
    server.pause()
    try:
        with pytest.raises(OutcomeUnknown, match="Try again with operation='mine'"):
            page.view_counter.increment(operation="mine")
    finally:
        server.resume()
    assert views(page) == 0
    page.view_counter.increment(operation="mine")
    assert page.view_counter.value == 2


def test_an_operation_that_may_have_been_sent_before_is_not_written_at_once(page: Page) -> None:
    with outage():
        page.view_counter.increment(strict=True)  # Surely not sent: by the database.
        assert views(page) == 1
        with pytest.raises(OutcomeUnknown, match="order 17"):
            page.view_counter.increment(operation="order 17")
    assert views(page) == 1


def test_what_was_born_before_a_restart_is_not_counted_in(server: Valkey, page: Page) -> None:
    buffer = Page.view_counter
    buffer.increment(page.pk)
    before = [each.batch for each in buffer.backlog()]
    # Another run of the server, with the same data: what a snapshot or a replica gives.
    server_of_now = buffer.server()._store.channel
    server_of_now.epoch = b"another!"
    buffer.increment(page.pk)
    after = [each.batch for each in buffer.backlog()]
    assert len(after) == 2
    assert after[0] == before[0]
    assert page.view_counter.value == 2
    buffer.flush()
    assert views(page) == 2


def test_a_flush_inside_of_a_transaction_is_refused(page: Page) -> None:
    page.view_counter.increment()
    with transaction.atomic(), pytest.raises(PolicyError, match="inside of a transaction"):
        Page.view_counter.flush()
    assert Page.view_counter.flush().rows == 1


def test_values_never_go_back_while_batches_are_flushed(page: Page) -> None:
    other = Page.objects.create()
    stop, faults, reads = threading.Event(), [], [0]
    counter = CounterBuffer(Page, "views", batch_rows=1)

    def read() -> None:
        last = 0
        try:
            while not stop.is_set():
                value = counter.values([page.pk])[page.pk]
                if value < last:
                    faults.append((last, value))
                last = value
                reads[0] += 1
        finally:
            connections.close_all()

    def flush() -> None:
        try:
            while not stop.is_set():
                counter.flush()
        finally:
            connections.close_all()

    threads = [threading.Thread(target=each) for each in (read, read, flush, flush)]
    for thread in threads:
        thread.start()
    for _ in range(400):
        counter.increment(page.pk)
        counter.increment(other.pk)  # Seals the batch that the first one is in.
    stop.set()
    for thread in threads:
        thread.join(20)
    assert faults == []
    assert reads[0] > 20
    assert counter.values([page.pk, other.pk]) == {page.pk: 400, other.pk: 400}
    counter.flush()
    assert (views(page), views(other)) == (400, 400)


def test_a_count_that_outgrows_64_bits_goes_on_in_the_next_batch(page: Page) -> None:
    most = 2**62 - 1
    for amount in (most, most, most, -most, -most):
        page.view_counter.increment(amount)
    assert page.view_counter.value == most
    Page.view_counter.flush()
    assert sum(each.rows for each in Page.view_counter.backlog()) == 0


def test_a_batch_that_was_evicted_is_said_and_holds_nothing_up(
    page: Page, redis_client: Any, caplog: Any
) -> None:
    buffer = Page.view_counter
    buffer.increment(page.pk, 5)
    _, (batch,) = buffer.server().seal(buffer.keys())
    redis_client.delete(buffer.keys().sealed + batch.encode())
    buffer.increment(page.pk)
    lost = counted("lost_batch")
    done = buffer.flush()
    assert (done.batches, done.rows) == (1, 1)
    assert counted("lost_batch") == lost + 1
    assert "maxmemory-policy noeviction" in caplog.text
    assert views(page) == 1
    assert not LedgerEntry.objects.filter(pk=batch).exists()


def test_what_cannot_be_read_becomes_a_dead_letter(page: Page, redis_client: Any) -> None:
    buffer = Page.view_counter
    buffer.increment(page.pk, 5)
    redis_client.hset(buffer.keys().batches[0], mapping={"slug-of-old": 1, "7": "many\xff"})
    done = buffer.flush()
    assert (done.rows, done.refused, done.errors) == (1, 2, ())
    assert views(page) == 5
    letters = {each.member: each for each in DeadLetter.objects.all()}
    assert set(letters) == {"slug-of-old", "7"}
    assert "cannot be read" in letters["7"].reason


def test_a_buffer_cache_that_cannot_be_made_costs_an_update_each(page: Page, settings: Any) -> None:
    broken = {"BACKEND": "tests.testapp.broken_cache.BrokenCache", "LOCATION": "nowhere"}
    settings.CACHES = {**settings.CACHES, "broken": broken}
    settings.CACHEPATTERNS = {**settings.CACHEPATTERNS, "BUFFER_CACHE": "broken"}
    page.view_counter.increment()
    assert views(page) == page.view_counter.value == 1
