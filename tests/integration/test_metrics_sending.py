"""Sending figures: one command now and then, and what becomes of them where it fails."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.conf import settings
from django.core.signals import request_finished
from django.test import override_settings

from django_cachepatterns import metrics
from django_cachepatterns.exceptions import PolicyError, StoreUnavailable
from django_cachepatterns.metrics import counting, flushing, history, hot, sending
from django_cachepatterns.metrics.sending import Ticker
from django_cachepatterns.stores.channel import Channel
from django_cachepatterns.testing import assert_store_commands, outage
from example_project.servers import Valkey
from tests.forks import in_child
from tests.testapp.models import Item

FAMILY = "sent"


@pytest.fixture(autouse=True)
def _nothing_was_sent(redis_client: Any) -> None:
    flushing.flush()
    for key in list(redis_client.scan_iter(f"{settings.KEY_PREFIX}:metrics:*")):
        redis_client.delete(key)


def sent() -> int:
    return history.totals("15m").get(FAMILY, history.Measured()).served


def test_what_is_new_is_one_command_and_nothing_is_none() -> None:
    metrics.count(FAMILY, "hit", 3)
    metrics.count(FAMILY, "miss")
    counting.thread.times[FAMILY, "hit:37"] = counting.thread.times.get((FAMILY, "hit:37"), 0) + 1
    hot.saw(FAMILY, [b"k"])
    with assert_store_commands(1):
        flushing.flush()
    with assert_store_commands(0):
        flushing.flush()
    assert sent() == 3


@pytest.mark.django_db(transaction=True)
def test_reads_send_nothing_of_their_own() -> None:
    """Ten thousand reads and a flush: one command more, so 0.0001 for each."""
    item = Item.objects.create(name="a", slug="a")
    Item.objects.get(pk=item.pk)
    flushing.flush()
    number = 10_000
    with assert_store_commands(number + 1) as commands:
        for _ in range(number):
            Item.objects.get(pk=item.pk)
        flushing.flush()
    assert commands.count("GET") == number


def test_very_much_is_sent_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flushing, "MOST", 4)
    for number in range(10):
        metrics.count(FAMILY, f"outcome-{number}")
    with assert_store_commands(3):
        flushing.flush()
    counts = history.totals("15m")[FAMILY].counts
    assert {name for name in counts if name.startswith("outcome-")} == {
        f"outcome-{number}" for number in range(10)
    }


def test_what_could_not_be_sent_is_sent_later() -> None:
    metrics.count(FAMILY, "hit", 3)
    with outage():
        for _ in range(3):
            with pytest.raises(StoreUnavailable):
                flushing.flush()
        metrics.count(FAMILY, "hit", 2)
    flushing.flush()
    assert sent() == 5


@pytest.fixture
def _replies_are_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands are carried out, and nobody hears of it."""
    plain = Channel.call

    def call(channel: Channel, packed: bytes) -> Any:
        plain(channel, packed)
        raise StoreUnavailable("The reply was lost.")

    with monkeypatch.context() as patched:
        patched.setattr(Channel, "call", call)
        metrics.count(FAMILY, "hit", 3)
        with pytest.raises(StoreUnavailable):
            flushing.flush()


@pytest.mark.usefixtures("_replies_are_lost")
def test_what_had_arrived_is_not_counted_twice() -> None:
    assert sent() == 3
    metrics.count(FAMILY, "hit", 2)
    flushing.flush()
    assert sent() == 5
    flushing.flush()
    assert sent() == 5


def test_a_server_that_was_killed_meanwhile(own_valkey: Valkey, settings: Any) -> None:
    caches = {"default": {**settings.CACHES["default"], "LOCATION": own_valkey.url}}
    with override_settings(CACHES=caches):
        metrics.count(FAMILY, "hit", 3)
        flushing.flush()
        metrics.count(FAMILY, "hit", 4)
        own_valkey.kill()
        with pytest.raises(StoreUnavailable):
            flushing.flush()
        own_valkey.start()
        flushing.flush()
        assert sent() in (4, 7), "what the server had before may be lost with it"


def test_a_cache_that_is_no_store_is_said_by_a_check_and_not_by_sending(settings: Any) -> None:
    caches = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    metrics.count(FAMILY, "hit")
    with override_settings(CACHES=caches):
        with pytest.raises(PolicyError):
            flushing.flush()
        Ticker().send()
    flushing.flush()
    assert sent() == 1


def test_a_forked_child_sends_what_it_has_counted_itself() -> None:
    metrics.count(FAMILY, "hit", 3)

    def child() -> str:
        metrics.count(FAMILY, "hit", 4)
        flushing.flush()
        return str(metrics.by_family()[FAMILY]["hit"])

    assert in_child(child) == "4"
    assert sent() == 4
    flushing.flush()
    assert sent() == 7


def test_a_child_that_is_forked_while_counts_are_added_up_does_not_hang() -> None:
    """Another thread of the parent's may hold the lock; the child has its own."""
    held, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        with counting._lock:
            held.set()
            go_on.wait(20)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(20)

    def child() -> str:
        metrics.count(FAMILY, "hit")
        return str(metrics.by_family()[FAMILY]["hit"])

    try:
        assert in_child(child) == "1"
    finally:
        go_on.set()
        thread.join()


def test_a_ticker_sends_by_itself(settings: Any) -> None:
    settings.CACHEPATTERNS = {**settings.CACHEPATTERNS, "METRICS_FLUSH_EVERY": 0.01}
    metrics.count(FAMILY, "hit", 2)
    ticker = Ticker()
    ticker.start()
    try:
        patience = threading.Event()
        for _ in range(1000):
            if sent() == 2:
                break
            patience.wait(0.01)
        assert sent() == 2
    finally:
        ticker.end()


def test_nothing_is_sent_where_the_settings_say_so(settings: Any) -> None:
    settings.CACHEPATTERNS = {**settings.CACHEPATTERNS, "METRICS": False}
    ticker = Ticker()
    ticker.start()
    assert ticker._thread is None
    metrics.count(FAMILY, "hit", 2)
    ticker.end()
    request_finished.send(sender=None)
    assert sent() == 0


def test_the_end_of_a_request_sends_what_is_overdue(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where threads do not run."""
    monkeypatch.setattr(sending.TICKER, "_thread", threading.current_thread())
    settings.CACHEPATTERNS = {**settings.CACHEPATTERNS, "METRICS_FLUSH_EVERY": 5}
    metrics.count(FAMILY, "hit", 2)
    monkeypatch.setattr(sending.TICKER, "_sent_at", sending.monotonic() - 14)
    request_finished.send(sender=None)
    assert sent() == 0
    monkeypatch.setattr(sending.TICKER, "_sent_at", sending.monotonic() - 16)
    request_finished.send(sender=None)
    assert sent() == 2


def test_an_outage_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    ticker = Ticker()
    metrics.count(FAMILY, "hit", 2)
    with outage():
        ticker.send()
        ticker.send()
    assert caplog.text.count("Figures could not be sent") == 1
    ticker.send()
    metrics.count(FAMILY, "hit", 2)
    with outage():
        ticker.send()
    assert caplog.text.count("Figures could not be sent") == 2
    ticker.send()
    assert sent() == 4


def test_a_family_whose_name_is_no_text_holds_nothing_up() -> None:
    metrics.count("fragment \ud800", "hit")
    hot.saw("fragment \ud800", [b"k"])
    metrics.count(FAMILY, "hit", 3)
    flushing.flush()
    assert sent() == 3
    assert history.totals("15m")["fragment ?"].served == 1
