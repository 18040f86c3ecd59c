"""Write-through models: what a commit wrote is in the cache when the write returns."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections, transaction

from django_cachepatterns import hooks, metrics
from django_cachepatterns.orm.rows import rows_of
from django_cachepatterns.stores import store_of
from django_cachepatterns.transactions import installable
from tests.testapp.models import Cafe, Item, Place

pytestmark = pytest.mark.django_db(transaction=True)

Queries = Callable[[int], Any]


@pytest.fixture(autouse=True)
def written_through(settings: Any) -> None:
    labels = ("testapp.Item", "testapp.Place", "testapp.Cafe")
    policies = {label: {"pattern": "write_through"} for label in labels}
    settings.CACHEPATTERNS = {**settings.CACHEPATTERNS, "POLICIES": policies}


@pytest.fixture
def item() -> Item:
    return Item.objects.create(name="one", slug="one")


def name_of(item: Item) -> str:
    return Item.objects.get(pk=item.pk).name


def test_a_new_row_is_read_without_sql(django_assert_num_queries: Queries) -> None:
    item = Item.objects.create(name="one", slug="one")
    with django_assert_num_queries(0):
        assert name_of(item) == "one"


def test_a_saved_row_is_read_without_sql(item: Item, django_assert_num_queries: Queries) -> None:
    item.name = "two"
    item.save()
    with django_assert_num_queries(0):
        assert name_of(item) == "two"


def test_the_row_is_stored_at_the_commit(
    item: Item, elsewhere: Callable[..., Any], django_assert_num_queries: Queries
) -> None:
    with transaction.atomic():
        item.name = "two"
        item.save()
        assert name_of(item) == "two"
        assert elsewhere(name_of, item) == "one"
    with django_assert_num_queries(0):
        assert name_of(item) == "two"


def test_a_rolled_back_row_is_not_stored(item: Item) -> None:
    with pytest.raises(RuntimeError), transaction.atomic():
        item.name = "two"
        item.save()
        raise RuntimeError
    assert name_of(item) == "one"


def test_a_rolled_back_savepoint_is_not_stored(item: Item) -> None:
    with transaction.atomic():
        Item.objects.filter(pk=item.pk).update(stock=1)
        with pytest.raises(RuntimeError), transaction.atomic():
            item.name = "two"
            item.save()
            raise RuntimeError
    found = Item.objects.get(pk=item.pk)
    assert (found.name, found.stock) == ("one", 1)


def test_what_the_database_made_of_it_is_stored(
    item: Item, django_assert_num_queries: Queries
) -> None:
    """The row is read again: what a trigger, an expression or a default has put in is there."""
    Item.objects.filter(pk=item.pk).update(name="UPPER")
    with connections["default"].cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION lowered() RETURNS trigger AS $$ BEGIN NEW.name = lower(NEW.name); "
            "RETURN NEW; END $$ LANGUAGE plpgsql"
        )
        cursor.execute(
            "CREATE TRIGGER lowered BEFORE UPDATE ON testapp_item FOR EACH ROW "
            "EXECUTE FUNCTION lowered()"
        )
    try:
        item.name = "SHOUT"
        item.save()
        with django_assert_num_queries(0):
            assert name_of(item) == "shout"
    finally:
        with connections["default"].cursor() as cursor:
            cursor.execute("DROP TRIGGER lowered ON testapp_item")
            cursor.execute("DROP FUNCTION lowered")


def test_a_bulk_update_is_stored_too(item: Item, django_assert_num_queries: Queries) -> None:
    others = [Item.objects.create(name="x", slug=f"x{n}") for n in range(5)]
    Item.objects.filter(name="x").update(name="y")
    with django_assert_num_queries(0):
        assert [name_of(other) for other in others] == ["y"] * 5


def test_a_large_bulk_write_is_dropped_instead(django_assert_num_queries: Queries) -> None:
    Item.objects.bulk_create(Item(name="x", slug=f"x{n}") for n in range(installable.MOST + 1))
    before = metrics.snapshot()["install"]
    Item.objects.update(name="y")
    assert metrics.snapshot()["install"] == before
    assert {item.name for item in Item.objects.all()} == {"y"}


def test_a_deleted_row_is_gone(item: Item) -> None:
    pk = item.pk
    item.delete()
    with pytest.raises(Item.DoesNotExist):
        Item.objects.get(pk=pk)


def test_a_created_row_that_was_absent_is_there(django_assert_num_queries: Queries) -> None:
    with pytest.raises(Item.DoesNotExist):
        Item.objects.get(pk=4711)
    Item.objects.create(pk=4711, name="late", slug="late")
    with django_assert_num_queries(0):
        assert Item.objects.get(pk=4711).name == "late"


def test_parents_and_children_are_stored(django_assert_num_queries: Queries) -> None:
    cafe = Cafe.objects.create(name="bar", seats=4)
    cafe.seats, cafe.name = 6, "pub"
    cafe.save()
    with django_assert_num_queries(0):
        found = Cafe.objects.get(pk=cafe.pk)
        assert (found.name, found.seats) == ("pub", 6)
        assert Place.objects.get(pk=cafe.pk).name == "pub"
    place = Place.objects.get(pk=cafe.pk)
    place.name = "inn"
    place.save()
    with django_assert_num_queries(0):
        assert Cafe.objects.get(pk=cafe.pk).name == "inn"


def test_of_two_writers_the_newest_row_wins(item: Item) -> None:
    """The first to commit ends while the second is under way; the second has the last word."""
    committed, go_on = threading.Event(), threading.Event()

    def pause(details: hooks.Written) -> None:
        if threading.current_thread() is not threading.main_thread():
            committed.set()
            go_on.wait(10)

    def first() -> None:
        try:
            Item.objects.filter(pk=item.pk).update(name="first")
        finally:
            connections.close_all()

    with hooks.listening(before_end_write=pause):
        thread = threading.Thread(target=first)
        thread.start()
        assert committed.wait(10)
        # Committed, not yet ended: a second writer begins, commits and ends.
        Item.objects.filter(pk=item.pk).update(name="second")
        assert name_of(item) == "second"
        go_on.set()
        thread.join(10)
    assert name_of(item) == "second"


def test_a_writer_that_begins_between_the_second_read_and_the_install(
    item: Item, monkeypatch: Any
) -> None:
    """What the first has read again is older than what the second wrote: it must not be stored."""
    rows = rows_of(Item)
    assert rows is not None
    plain = type(rows).load
    read, go_on = threading.Event(), threading.Event()

    def slow(self: Any, asked: Any) -> Any:
        loaded = plain(self, asked)
        if threading.current_thread() is not threading.main_thread():
            read.set()
            go_on.wait(10)
        return loaded

    def first() -> None:
        try:
            Item.objects.filter(pk=item.pk).update(name="first")
        finally:
            connections.close_all()

    monkeypatch.setattr(type(rows), "load", slow)
    before = metrics.snapshot()["refused_install"]
    thread = threading.Thread(target=first)
    thread.start()
    assert read.wait(10)
    Item.objects.filter(pk=item.pk).update(name="second")
    assert name_of(item) == "second"
    go_on.set()
    thread.join(10)
    assert name_of(item) == "second"
    assert metrics.snapshot()["refused_install"] == before + 1


def test_the_mark_is_gone_when_the_second_read_fails(
    item: Item, monkeypatch: Any, redis_client: Any
) -> None:
    from django.db import DatabaseError

    rows = rows_of(Item)
    assert rows is not None

    def fail(self: Any, asked: Any) -> Any:
        raise DatabaseError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(type(rows), "load", fail)
        item.name = "two"
        item.save()
    store_of_now().settle()
    assert redis_client.get(rows.entry_key(item.pk)) is None
    assert name_of(item) == "two"


def store_of_now() -> Any:
    from django_cachepatterns import conf

    return store_of(conf.config())
