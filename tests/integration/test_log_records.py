"""What is logged when something goes wrong: by name, with fields, and not too often."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction

from django_cachepatterns import hooks
from django_cachepatterns.log_events import seldom
from django_cachepatterns.orm.rows import rows_of
from django_cachepatterns.testing import outage
from django_cachepatterns.write_behind import registry
from tests.testapp.models import Item, Page

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def item() -> Item:
    return Item.objects.create(name="i", slug="i")


@pytest.fixture
def page() -> Iterator[Page]:
    yield Page.objects.create(title="p")
    for buffer in registry.buffers():
        buffer.server().forget(buffer.keys())


def records(caplog: pytest.LogCaptureFixture, event: str) -> list[Any]:
    return [each for each in caplog.records if getattr(each, "event", None) == event]


def key_of(item: Item) -> bytes:
    rows = rows_of(Item)
    assert rows is not None
    return rows.entry_key(item.pk)


def test_a_dead_server_does_not_flood_the_log(item: Item, caplog: Any) -> None:
    with caplog.at_level(logging.DEBUG, "django_cachepatterns"), outage():
        for _ in range(50):
            Item.objects.get(pk=item.pk)
    found = records(caplog, "cache_unavailable")
    assert [each.levelno for each in found] == [logging.WARNING] + [logging.DEBUG] * 49
    assert {each.family for each in found} == {"testapp.item"}
    assert [each.held_back for each in found] == list(range(50))
    assert "outage()" in found[0].error


def test_every_write_of_an_outage_is_in_the_log_for_who_wants_it(item: Item, caplog: Any) -> None:
    others = [Item.objects.create(name="i", slug=f"i{at}", place=at) for at in range(3)]
    with caplog.at_level(logging.DEBUG, "django_cachepatterns"), outage():
        for other in others:
            Item.objects.filter(pk=other.pk).update(name="new")
    named = {key for each in records(caplog, "write_undelivered") for key in each.keys}
    assert named >= {key_of(other).decode() for other in others}


def test_writes_in_an_outage_say_which_step_and_how_many(item: Item, caplog: Any) -> None:
    with caplog.at_level(logging.ERROR, "django_cachepatterns"), outage():
        Item.objects.filter(pk=item.pk).update(name="new")
    found = records(caplog, "write_undelivered")
    assert {each.step for each in found} >= {"begin"}
    assert all(each.count >= len(each.keys) > 0 for each in found if each.step == "begin")


def test_a_lost_mark_names_its_keys(item: Item, caplog: Any, redis_client: Any) -> None:
    Item.objects.get(pk=item.pk)
    with caplog.at_level(logging.WARNING, "django_cachepatterns"), transaction.atomic():
        Item.objects.filter(pk=item.pk).update(name="new")
        redis_client.delete(key_of(item))
    Item.objects.get(pk=item.pk)
    (record,) = records(caplog, "lost_mark")
    assert record.count == 1
    assert key_of(item).decode() in record.keys


def test_a_corrupt_entry_names_its_key(item: Item, caplog: Any, redis_client: Any) -> None:
    redis_client.set(key_of(item), b"nonsense")
    assert Item.objects.get(pk=item.pk) == item
    (record,) = records(caplog, "corrupt_entry")
    assert (record.family, record.key) == ("testapp.item", key_of(item).decode())


def test_dead_letters_are_said(page: Page, caplog: Any) -> None:
    Page.like_counter.increment(page.pk, 1_000_000)
    Page.like_counter.flush()
    (record,) = records(caplog, "dead_letter")
    assert (record.levelno, record.buffer, record.count) == (
        logging.ERROR,
        "testapp.Page.likes",
        1,
    )
    assert len(record.batch) == 32


def test_fills_that_are_refused_again_and_again_are_said(
    item: Item, caplog: Any, redis_client: Any, monkeypatch: Any
) -> None:
    from django_cachepatterns.reader import loading

    monkeypatch.setattr(loading, "MANY_REFUSED", 5)

    def invalidate(loaded: hooks.Loaded) -> None:
        redis_client.delete(*loaded.keys)

    with hooks.listening(before_fill=invalidate):
        for _ in range(4):
            Item.objects.get(pk=item.pk)
        assert records(caplog, "refused_fills") == []
        Item.objects.get(pk=item.pk)
    (record,) = records(caplog, "refused_fills")
    assert (record.family, record.count) == ("testapp.item", 5)


def test_a_fill_that_is_taken_ends_the_row_of_refused_ones(
    item: Item, caplog: Any, redis_client: Any, monkeypatch: Any
) -> None:
    from django_cachepatterns.reader import loading

    monkeypatch.setattr(loading, "MANY_REFUSED", 5)

    def invalidate(loaded: hooks.Loaded) -> None:
        redis_client.delete(*loaded.keys)

    for _ in range(3):
        with hooks.listening(before_fill=invalidate):
            for _ in range(4):
                Item.objects.get(pk=item.pk)
        Item.objects.get(pk=item.pk)
        redis_client.delete(key_of(item))
    assert records(caplog, "refused_fills") == []


def test_after_a_while_it_is_said_again(item: Item, caplog: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(seldom, "every", 0.0)
    with caplog.at_level(logging.WARNING, "django_cachepatterns"), outage():
        Item.objects.get(pk=item.pk)
        Item.objects.get(pk=item.pk)
    assert len(records(caplog, "cache_unavailable")) == 2
