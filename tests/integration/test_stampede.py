"""Many readers of one missing entry are one query."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.db import transaction

from django_cachepatterns import entry, hooks, metrics
from django_cachepatterns.orm.rows import rows_of
from tests.integration.crowd import in_threads
from tests.testapp.models import Item

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def item() -> Item:
    return Item.objects.create(name="one", slug="s")


def loads() -> int:
    return metrics.snapshot()["load"]


def key_of(item: Item) -> bytes:
    rows = rows_of(Item)
    assert rows is not None
    return rows.entry_key(item.pk)


def test_one_loads_and_the_others_wait(item: Item) -> None:
    before = loads()
    with hooks.listening(before_fill=lambda details: time.sleep(0.05)):
        names = in_threads(12, lambda: Item.objects.get(pk=item.pk).name)
    assert names == ["one"] * 12
    assert loads() - before == 1


def test_a_page_of_missing_rows_is_loaded_once(item: Item) -> None:
    pks = [item.pk] + [Item.objects.create(name="x", slug=str(n)).pk for n in range(5)]
    before = loads()
    with hooks.listening(before_fill=lambda details: time.sleep(0.05)):
        sizes = in_threads(6, lambda: len(Item.objects.filter(pk__in=pks)))
    assert sizes == [6] * 6
    assert loads() - before == 6


def test_when_a_loader_dies_one_of_those_who_wait_takes_over(
    item: Item, redis_client: Any, django_assert_num_queries: Any
) -> None:
    redis_client.set(key_of(item), entry.lease(entry.new_token()), px=400)
    before = loads()
    with hooks.listening(before_fill=lambda details: time.sleep(0.05)):
        names = in_threads(10, lambda: Item.objects.get(pk=item.pk).name)
    assert names == ["one"] * 10
    assert loads() - before == 1
    with django_assert_num_queries(0):
        Item.objects.get(pk=item.pk)


def test_patience_has_an_end(item: Item, redis_client: Any, settings: Any) -> None:
    settings.CACHEPATTERNS = {
        **settings.CACHEPATTERNS,
        "POLICIES": {"testapp.Item": {"lease_wait": 0.1}},
    }
    lease = entry.lease(entry.new_token())
    redis_client.set(key_of(item), lease, px=60_000)
    assert Item.objects.get(pk=item.pk).name == "one"
    assert redis_client.get(key_of(item)) == lease, "what is loaded without a lease is not stored"


def test_a_failing_load_gives_its_lease_up(item: Item, redis_client: Any) -> None:
    def fail(details: hooks.Loaded) -> None:
        raise ZeroDivisionError

    with hooks.listening(before_fill=fail), pytest.raises(ZeroDivisionError):
        Item.objects.get(pk=item.pk)
    assert redis_client.get(key_of(item)) is None
    assert Item.objects.get(pk=item.pk).name == "one"


def test_a_write_during_the_load_refuses_the_fill(item: Item, elsewhere: Any) -> None:
    def write() -> None:
        with transaction.atomic():
            Item.objects.filter(pk=item.pk).update(name="two")

    done: list[bool] = []

    def meanwhile(details: hooks.Loaded) -> None:
        if not done:
            done.append(True)
            elsewhere(write)

    refused = metrics.snapshot()["refused_fill"]
    with hooks.listening(before_fill=meanwhile):
        assert Item.objects.get(pk=item.pk).name == "one", "what it was when the read began"
    assert metrics.snapshot()["refused_fill"] == refused + 1
    assert Item.objects.get(pk=item.pk).name == "two"
