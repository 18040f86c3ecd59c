"""Every way to write a row, in every kind of transaction."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import models, transaction
from django.db.models import F, Value
from django.db.models.functions import Concat

from tests.testapp.models import Item, ItemProxy, Shelf

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


def save(item: Item) -> None:
    Item.objects.get(pk=item.pk)
    item.name = "new"
    item.save()


def save_update_fields(item: Item) -> None:
    item.name = "new"
    item.save(update_fields=["name"])


def save_expression(item: Item) -> None:
    item.name = Concat(Value("n"), Value("ew"))
    item.save()


def save_without_reading(item: Item) -> None:
    Item(pk=item.pk, name="new", slug=item.slug).save()


def save_deferred(item: Item) -> None:
    partial = Item.objects.only("pk", "name").get(pk=item.pk)
    partial.name = "new"
    partial.save()


def save_proxy(item: Item) -> None:
    proxy = ItemProxy.objects.get(pk=item.pk)
    proxy.name = "new"
    proxy.save()


def force_update(item: Item) -> None:
    item.name = "new"
    item.save(force_update=True)


def update(item: Item) -> None:
    Item.objects.filter(pk=item.pk).update(name="new")


def update_all(item: Item) -> None:
    Item.objects.update(name="new")


def update_across_join(item: Item) -> None:
    Item.objects.filter(shelf__name="top").update(name="new")


def update_annotated(item: Item) -> None:
    Item.objects.annotate(wanted=Concat(Value("ne"), Value("w"))).order_by("wanted").update(
        name=F("wanted")
    )


def update_through_relation(item: Item) -> None:
    assert item.shelf is not None
    item.shelf.items.update(name="new")


def update_proxy(item: Item) -> None:
    ItemProxy.objects.filter(pk=item.pk).update(name="new")


def bulk_update(item: Item) -> None:
    item.name = "new"
    Item.objects.bulk_update([item], ["name"])


def bulk_create_update_conflicts(item: Item) -> None:
    Item.objects.bulk_create(
        [Item(name="new", slug=item.slug)],
        update_conflicts=True,
        update_fields=["name"],
        unique_fields=["slug"],
    )


def update_or_create(item: Item) -> None:
    Item.objects.update_or_create(slug=item.slug, defaults={"name": "new"})


def delete_and_create(item: Item) -> None:
    pk = item.pk
    item.delete()
    Item.objects.create(pk=pk, name="new", slug="s", shelf=Shelf.objects.get())


def bulk_delete_and_get_or_create(item: Item) -> None:
    Item.objects.filter(pk=item.pk).delete()
    Item.objects.get_or_create(
        pk=item.pk, defaults={"name": "new", "slug": "s", "shelf": Shelf.objects.get()}
    )


def bulk_delete_and_bulk_create(item: Item) -> None:
    Item.objects.filter(pk=item.pk).delete()
    Item.objects.bulk_create([Item(pk=item.pk, name="new", slug="s")])


def set_related(item: Item) -> None:
    assert item.shelf is not None
    item.name = "new"
    item.shelf.items.add(item, bulk=False)


WRITES: list[Callable[[Item], None]] = [
    save,
    save_update_fields,
    save_expression,
    save_without_reading,
    save_deferred,
    save_proxy,
    force_update,
    update,
    update_all,
    update_across_join,
    update_annotated,
    update_through_relation,
    update_proxy,
    bulk_update,
    bulk_create_update_conflicts,
    update_or_create,
    delete_and_create,
    bulk_delete_and_get_or_create,
    bulk_delete_and_bulk_create,
    set_related,
]
every_write = pytest.mark.parametrize("write", WRITES, ids=lambda write: write.__name__)


@pytest.fixture
def item() -> Item:
    shelf = Shelf.objects.create(name="top")
    return Item.objects.create(name="old", slug="s", shelf=shelf)


def name_of(pk: int) -> str:
    return Item.objects.get(pk=pk).name


def names_of(pk: int) -> set[str]:
    """The name by every kind of cached read."""
    return {
        Item.objects.get(pk=pk).name,
        Item.objects.get(slug="s").name,
        Item.objects.filter(pk__in=[pk])[0:1].get().name,
        next(iter(Item.objects.filter(pk__in=[pk]))).name,
        Item.objects.in_bulk([pk])[pk].name,
        ItemProxy.objects.get(pk=pk).name,
    }


def is_cached(pk: int, assert_num_queries: Any) -> bool:
    Item.objects.get(pk=pk)
    with assert_num_queries(0):
        Item.objects.get(pk=pk)
    return True


@every_write
def test_in_autocommit(write: Any, item: Item, django_assert_num_queries: Any) -> None:
    assert names_of(item.pk) == {"old"}
    pk = item.pk
    write(item)
    assert names_of(pk) == {"new"}
    assert is_cached(pk, django_assert_num_queries)


@every_write
def test_in_a_transaction(
    write: Any, item: Item, elsewhere: Any, django_assert_num_queries: Any
) -> None:
    assert names_of(item.pk) == {"old"}
    pk = item.pk
    seen: list[str] = []
    with transaction.atomic():
        transaction.on_commit(lambda: seen.append(name_of(pk)))
        write(item)
        transaction.on_commit(lambda: seen.append(elsewhere(name_of, pk)))
        assert names_of(pk) == {"new"}, "a transaction reads its own row"
        assert elsewhere(name_of, pk) == "old", "nobody else sees it before the commit"
    assert seen == ["new", "new"], "on_commit callbacks see it wherever they were registered"
    assert names_of(pk) == {"new"}
    assert elsewhere(name_of, pk) == "new"
    assert is_cached(pk, django_assert_num_queries)


@every_write
def test_rolled_back(
    write: Any, item: Item, elsewhere: Any, django_assert_num_queries: Any
) -> None:
    assert names_of(item.pk) == {"old"}
    pk = item.pk
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        write(item)
        assert names_of(pk) == {"new"}
        assert elsewhere(name_of, pk) == "old"
        raise ZeroDivisionError
    assert names_of(pk) == {"old"}
    assert is_cached(pk, django_assert_num_queries), "at once, without waiting for the deadline"


@every_write
def test_savepoint_rolled_back(
    write: Any, item: Item, elsewhere: Any, django_assert_num_queries: Any
) -> None:
    assert names_of(item.pk) == {"old"}
    pk = item.pk
    with transaction.atomic():
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            write(item)
            assert names_of(pk) == {"new"}
            raise ZeroDivisionError
        assert names_of(pk) == {"old"}
        assert elsewhere(names_of, pk) == {"old"}
        with django_assert_num_queries(0):
            name_of(pk)  # what the other thread has cached
    assert names_of(pk) == {"old"}


def test_a_rollback_of_an_inner_savepoint_keeps_the_outer_mark(item: Item, elsewhere: Any) -> None:
    pk = item.pk
    with transaction.atomic():
        Item.objects.filter(pk=pk).update(stock=1)
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            Item.objects.filter(pk=pk).update(stock=2)
            raise ZeroDivisionError
        assert elsewhere(lambda: Item.objects.get(pk=pk).stock) == 0
        assert Item.objects.get(pk=pk).stock == 1
    assert Item.objects.get(pk=pk).stock == 1


def test_a_failed_statement_in_autocommit_ends_its_mark(
    item: Item, django_assert_num_queries: Any
) -> None:
    Item.objects.create(name="other", slug="taken")
    is_cached(item.pk, django_assert_num_queries)
    item.slug = "taken"
    with pytest.raises(Exception, match="duplicate key"):
        item.save()
    assert Item.objects.get(pk=item.pk).slug == "s"
    assert is_cached(item.pk, django_assert_num_queries)


def test_a_failure_at_commit_ends_the_mark(item: Item, django_assert_num_queries: Any) -> None:
    is_cached(item.pk, django_assert_num_queries)
    from django.db import IntegrityError, connection

    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE unique_violation; END $$"
        )
        cursor.execute(
            "CREATE CONSTRAINT TRIGGER refuse AFTER UPDATE ON testapp_item DEFERRABLE "
            "INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()"
        )
    try:
        with pytest.raises(IntegrityError), transaction.atomic():
            save(item)
        assert Item.objects.get(pk=item.pk).name == "old"
        assert is_cached(item.pk, django_assert_num_queries)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TRIGGER refuse ON testapp_item")


def test_loaddata(item: Item, tmp_path: Path) -> None:
    assert names_of(item.pk) == {"old"}
    fields = {"name": "new", "slug": "s", "shelf": None, "place": 0, "stock": 0}
    fixture = tmp_path / "items.json"
    fixture.write_text(json.dumps([{"model": "testapp.item", "pk": item.pk, "fields": fields}]))
    call_command("loaddata", str(fixture), verbosity=0)
    assert names_of(item.pk) == {"new"}


def test_a_migrations_model_of_the_same_name_invalidates(item: Item) -> None:
    from django.db.migrations.state import ModelState, ProjectState

    assert names_of(item.pk) == {"old"}
    state = ProjectState()
    for model in (Shelf, Item):
        state.add_model(ModelState.from_model(model))
    historical = state.apps.get_model("testapp", "Item")
    assert historical is not Item
    row = historical.objects.get(pk=item.pk)
    row.name = "new"
    row.save()
    assert names_of(item.pk) == {"new"}


def test_several_databases_have_entries_of_their_own(item: Item) -> None:
    Item.objects.using("other").create(pk=item.pk, name="there", slug="s")
    assert names_of(item.pk) == {"old"}
    assert Item.objects.using("other").get(pk=item.pk).name == "there"
    Item.objects.using("other").filter(pk=item.pk).update(name="changed")
    assert names_of(item.pk) == {"old"}
    assert Item.objects.using("other").get(pk=item.pk).name == "changed"


def test_manual_transaction_management(item: Item, elsewhere: Any) -> None:
    assert names_of(item.pk) == {"old"}
    transaction.set_autocommit(False)
    try:
        save(item)
        assert name_of(item.pk) == "new"
        assert elsewhere(name_of, item.pk) == "old"
        transaction.commit()
        assert elsewhere(name_of, item.pk) == "new"
        Item.objects.filter(pk=item.pk).update(name="poison")
        transaction.rollback()
        assert elsewhere(name_of, item.pk) == "new"
    finally:
        transaction.set_autocommit(True)
    assert names_of(item.pk) == {"new"}


def test_a_callback_that_raises_does_not_keep_the_mark(
    item: Item, django_assert_num_queries: Any
) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), transaction.atomic():
        transaction.on_commit(fail)
        save(item)
    assert names_of(item.pk) == {"new"}
    assert is_cached(item.pk, django_assert_num_queries)


def test_a_nested_save_in_a_signal_keeps_the_outer_mark(item: Item, elsewhere: Any) -> None:
    """A save inside another's pre_save ends its own write only."""
    other = Item.objects.create(name="old", slug="other")
    pk = item.pk
    seen: list[str] = []

    def receiver(sender: Any, instance: Item, **kwargs: Any) -> None:
        if instance.pk == pk:
            other.name = "new"
            other.save()

    def after(sender: Any, instance: Item, **kwargs: Any) -> None:
        if instance.pk == pk:
            seen.append(elsewhere(name_of, pk))

    models.signals.pre_save.connect(receiver, sender=Item)
    models.signals.post_save.connect(after, sender=Item)
    try:
        assert name_of(pk) == "old"
        item.name = "new"
        item.save()
    finally:
        models.signals.pre_save.disconnect(receiver, sender=Item)
        models.signals.post_save.disconnect(after, sender=Item)
    assert seen == ["new"]
    assert names_of(pk) == {"new"}
    assert name_of(other.pk) == "new"


def test_refresh_and_lock_read_the_database(item: Item, django_assert_num_queries: Any) -> None:
    is_cached(item.pk, django_assert_num_queries)
    with django_assert_num_queries(1):
        item.refresh_from_db()
    with transaction.atomic(), django_assert_num_queries(1):
        Item.objects.select_for_update().get(pk=item.pk)
    with django_assert_num_queries(1):
        Item.objects.nocache().get(pk=item.pk)
    with django_assert_num_queries(1):
        Item.objects.using("default").get(pk=item.pk)
