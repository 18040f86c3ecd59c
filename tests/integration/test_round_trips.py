"""How many commands and round trips each operation costs.

Counted where they are sent, because the workers of a test run share the server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from django.db import transaction

from django_cachepatterns.testing.wire import before_sending, commands_in
from tests.testapp.models import Item, Label, Shelf

pytestmark = pytest.mark.django_db(transaction=True)

Trips = list[list[str]]
"""The commands of each round trip, in turn."""

Listening = Callable[[], AbstractContextManager[Trips]]

BEGIN_AND_END = [["EVALSHA"], ["EVALSHA"]]


@pytest.fixture
def listening() -> Listening:
    """Collects what is sent to the cache within a block."""

    @contextmanager
    def collect() -> Iterator[Trips]:
        trips: Trips = []
        with before_sending(lambda packed: trips.append(commands_in(packed))):
            yield trips

    return collect


@pytest.fixture
def items() -> list[Item]:
    """Sixty rows that are in the cache, by key and by lookup."""
    shelf = Shelf.objects.create(name="top")
    made = [
        Item.objects.create(name=str(n), slug=f"slug-{n}", shelf=shelf, place=n) for n in range(60)
    ]
    for item in made:
        Item.objects.get(slug=item.slug)
        Item.objects.get(pk=item.pk)
    Shelf.objects.get(pk=shelf.pk)
    return made


def test_a_hit_is_one_get(items: list[Item], listening: Listening) -> None:
    with listening() as trips:
        Item.objects.get(pk=items[0].pk)
    assert trips == [["GET"]]


def test_a_hit_by_lookup_is_one_get(items: list[Item], listening: Listening) -> None:
    with listening() as trips:
        Item.objects.get(slug=items[0].slug)
    assert trips == [["GET"]]


def test_a_foreign_key_is_one_get(items: list[Item], listening: Listening) -> None:
    item = Item.objects.get(pk=items[0].pk)
    with listening() as trips:
        assert item.shelf is not None
    assert trips == [["GET"]]


def test_a_remembered_absence_is_two_gets(listening: Listening) -> None:
    """The entry, and the version that says whether rows have been inserted since."""
    assert Item.objects.filter(pk=999_999).first() is None
    with listening() as trips:
        assert Item.objects.filter(pk=999_999).first() is None
    assert trips == [["GET"], ["MGET"]]


def test_a_page_is_one_mget(items: list[Item], listening: Listening) -> None:
    pks = [item.pk for item in items[:50]]
    with listening() as trips:
        assert len(Item.objects.filter(pk__in=pks)) == 50
    assert trips == [["MGET"]]
    with listening() as trips:
        assert len(Item.objects.in_bulk(pks)) == 50
    assert trips == [["MGET"]]


def test_foreign_keys_are_prefetched_with_one_mget(items: list[Item], listening: Listening) -> None:
    Label.objects.bulk_create([Label(item=item, text="x") for item in items])
    labels = Label.objects.order_by("pk")
    with listening() as trips:
        assert len(labels.prefetch_related("item")) == 60
    assert trips == [["MGET"]]


def test_what_is_not_a_cached_read_sends_nothing(items: list[Item], listening: Listening) -> None:
    with listening() as trips:
        assert Item.objects.filter(name="1").count() == 1
        assert Item.objects.filter(place__gt=50).first() is not None
    assert trips == []


def test_a_miss_is_three_round_trips(items: list[Item], listening: Listening) -> None:
    Item.objects.filter(pk=items[0].pk).update(stock=1)
    with listening() as trips:
        Item.objects.get(pk=items[0].pk)
    assert [names[0] for names in trips] == ["GET", "SET", "EVALSHA"]


def test_fifty_misses_are_three_round_trips(items: list[Item], listening: Listening) -> None:
    pks = [item.pk for item in items[:50]]
    Item.objects.filter(pk__in=pks).update(stock=1)
    with listening() as trips:
        assert len(Item.objects.filter(pk__in=pks)) == 50
    assert [names[0] for names in trips] == ["MGET", "SET", "EVALSHA"]


def test_a_save_is_two_scripts(items: list[Item], listening: Listening) -> None:
    with listening() as trips:
        items[0].save()
    assert trips == BEGIN_AND_END


def test_a_save_in_a_transaction_is_two_scripts(items: list[Item], listening: Listening) -> None:
    with listening() as trips, transaction.atomic():
        items[0].save()
        items[0].save()
    assert trips == BEGIN_AND_END


@pytest.mark.parametrize(
    "write",
    [
        lambda items: Item.objects.filter(place__lt=50).update(stock=1),
        lambda items: Item.objects.bulk_create([Item(name="b", slug=f"b{n}") for n in range(50)]),
        lambda items: Item.objects.bulk_update(items[:50], ["name"]),
        lambda items: Item.objects.filter(place__lt=50).delete(),
        lambda items: items[0].delete(),
    ],
    ids=["update", "bulk_create", "bulk_update", "delete of many", "delete"],
)
def test_a_bulk_write_is_two_scripts(
    write: Callable[[list[Item]], object], items: list[Item], listening: Listening
) -> None:
    with listening() as trips:
        write(items)
    assert trips == BEGIN_AND_END


def test_a_cascade_costs_no_more_for_more_rows(items: list[Item], listening: Listening) -> None:
    def delete(item: Item, labels: int) -> int:
        Label.objects.bulk_create([Label(item=item, text="x") for _ in range(labels)])
        with listening() as trips:
            item.delete()
        return len(trips)

    assert delete(items[0], 1) == delete(items[1], 200)
