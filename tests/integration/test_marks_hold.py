"""A mark holds within its own transaction and before its own deadline, whatever was left over."""

from __future__ import annotations

import gc
import time
from typing import Any

import pytest
from django.db import IntegrityError, connections, transaction
from django.db.models import signals
from django.test import override_settings

from django_cachepatterns.orm.rows import rows_of
from tests.testapp.models import Bar, Cafe, Item, Label, MaskedRow, Shelf, UuidSlug

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


@pytest.fixture(autouse=True)
def _short_deadlines(settings: Any) -> None:
    settings.CACHEPATTERNS = {**settings.CACHEPATTERNS, "MARK_TTL": 0.4}


def name(pk: int) -> str:
    return Shelf.objects.get(pk=pk).name


def test_a_delete_that_was_refused_leaves_nothing(elsewhere: Any) -> None:
    row, other = Shelf.objects.create(name="old"), Shelf.objects.create(name="other")

    def guard(instance: Any, **kwargs: Any) -> None:
        raise ValueError("protected")

    signals.pre_delete.connect(guard, sender=Shelf)
    try:
        with pytest.raises(ValueError, match="protected"):
            row.delete()
    finally:
        signals.pre_delete.disconnect(guard, sender=Shelf)
    other.save()
    time.sleep(0.5)
    assert elsewhere(name, row.pk) == "old"
    row.name = "new"
    row.save()
    assert elsewhere(name, row.pk) == "new"


def test_a_receivers_savepoint_ends_no_mark_of_the_delete(elsewhere: Any) -> None:
    """The receiver's statement has the queued row marked; its rollback must not end that."""
    row, other = Shelf.objects.create(name="old"), Shelf.objects.create(name="other")
    name(row.pk)
    seen: list[str] = []

    def receiver(instance: Any, **kwargs: Any) -> None:
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            Shelf.objects.filter(pk=other.pk).update(name="undone")
            other.save()
            raise ZeroDivisionError
        seen.append(elsewhere(name, instance.pk))

    signals.pre_delete.connect(receiver, sender=Shelf)
    try:
        pk = row.pk
        with transaction.atomic():
            row.delete()
            assert rows_of(Shelf).store.get(rows_of(Shelf).entry_key(pk))[:1] == b"W"
    finally:
        signals.pre_delete.disconnect(receiver, sender=Shelf)
    assert seen == ["old"]
    with pytest.raises(Shelf.DoesNotExist):
        elsewhere(name, pk)


def test_a_failed_statement_in_a_receiver_ends_no_mark_of_its_transaction(elsewhere: Any) -> None:
    Item.objects.create(name="x", slug="taken")
    row = Shelf.objects.create(name="old")
    name(row.pk)
    seen: list[str] = []

    def receiver(instance: Any, **kwargs: Any) -> None:
        if instance.name != "first":
            return
        with transaction.atomic():
            Shelf.objects.filter(pk=instance.pk).update(name="second")
            with pytest.raises(IntegrityError), transaction.atomic():
                Item.objects.create(name="y", slug="taken")
            seen.append(elsewhere(name, instance.pk))

    before = signals.post_save.receivers[:]
    signals.post_save.connect(receiver, sender=Shelf)
    signals.post_save.receivers.insert(0, signals.post_save.receivers.pop())
    signals.post_save.sender_receivers_cache.clear()
    try:
        row.name = "first"
        row.save()
    finally:
        signals.post_save.receivers = before
        signals.post_save.sender_receivers_cache.clear()
    assert seen == ["first"]
    assert elsewhere(name, row.pk) == "second"


def test_an_exception_that_is_kept_ends_no_later_transaction(elsewhere: Any) -> None:
    row = Shelf.objects.create(name="old")
    name(row.pk)
    kept: list[BaseException] = []

    def fail() -> None:
        raise RuntimeError

    try:
        with transaction.atomic():
            transaction.on_commit(fail)
            Shelf.objects.filter(pk=row.pk).update(name="one")
    except RuntimeError as error:
        kept.append(error)
    with transaction.atomic():
        Shelf.objects.filter(pk=row.pk).update(name="two")
        kept.clear()
        gc.collect()
        assert elsewhere(name, row.pk) == "one"
    assert elsewhere(name, row.pk) == "two"


def test_marks_are_renewed_under_manual_transaction_management(elsewhere: Any) -> None:
    row = Shelf.objects.create(name="old")
    transaction.set_autocommit(False)
    try:
        Shelf.objects.filter(pk=row.pk).update(name="one")
        transaction.commit()
        time.sleep(0.5)
        assert elsewhere(name, row.pk) == "one"
        Shelf.objects.filter(pk=row.pk).update(name="two")
        transaction.commit()
        assert elsewhere(name, row.pk) == "two"
    finally:
        transaction.rollback()
        transaction.set_autocommit(True)


def test_an_upsert_changes_the_row_that_is_there() -> None:
    row = UuidSlug.objects.create(slug="a", n=1)
    assert UuidSlug.objects.get(pk=row.pk).n == 1
    UuidSlug.objects.bulk_create(
        [UuidSlug(slug="a", n=2)],
        update_conflicts=True,
        update_fields=["n"],
        unique_fields=["slug"],
    )
    assert UuidSlug.objects.get(pk=row.pk).n == 2


def test_children_of_one_parent_share_its_row() -> None:
    cafe = Cafe.objects.create(name="old", seats=3)
    Bar(place_ptr_id=cafe.pk, name="old", beers=2).save()
    assert Bar.objects.get(pk=cafe.pk).name == "old"
    cafe.name = "new"
    cafe.save()
    assert Bar.objects.get(pk=cafe.pk).name == "new"
    Cafe.objects.filter(pk=cafe.pk).update(name="newer")
    assert Bar.objects.get(pk=cafe.pk).name == "newer"


def test_a_field_that_prepares_in_its_own_way_finds_its_own_row() -> None:
    MaskedRow.objects.create(code=3, n=1)
    MaskedRow.objects.create(code=6, n=2)
    for _ in range(2):
        assert MaskedRow.objects.get(code=6).n == 2
        assert MaskedRow.objects.get(code=3).n == 1


def test_a_row_read_from_a_replica_leads_to_the_replicas_rows() -> None:
    other, default = connections["other"], connections["default"]
    other.close()
    own = other.settings_dict["NAME"]
    other.settings_dict["NAME"] = default.settings_dict["NAME"]
    try:
        item = Item.objects.create(name="old", slug="s")
        label = Label.objects.create(item=item, text="x")

        def read() -> str:
            return Label.objects.using("other").get(pk=label.pk).item.name

        assert read() == "old"
        Item.objects.filter(pk=item.pk).update(name="new")
        assert read() == "new"
    finally:
        other.close()
        other.settings_dict["NAME"] = own


def test_a_wrong_update_does_not_break_the_block() -> None:
    Shelf.objects.create(name="x")
    with transaction.atomic():
        with pytest.raises(Exception, match="no field"):
            Shelf.objects.update(nope=1)
        assert Shelf.objects.count() == 1


@override_settings(CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}})
def test_without_a_store_everything_is_the_databases() -> None:
    row = Shelf.objects.create(name="x")
    assert name(row.pk) == "x"
