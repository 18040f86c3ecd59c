"""Caching works inside `TestCase`, whose transaction never commits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from unittest import mock

import pytest
import redis
from django.conf import settings
from django.core import mail
from django.core.management import call_command
from django.db import transaction
from django.test import TestCase, TransactionTestCase

from django_cachepatterns import invalidate
from django_cachepatterns.reader import Reader
from django_cachepatterns.write_behind import Draft, registry
from tests.testapp.models import Cart, Item, Label, Page, WrittenPiece


@pytest.fixture(autouse=True, scope="module")
def _no_keys_left_behind(redis_client: redis.Redis) -> Iterator[None]:
    """What a test leaves behind is seen by the next one here; all of it goes after the last."""
    yield
    if keys := list(redis_client.scan_iter(f"*{settings.KEY_PREFIX}:*", count=1000)):
        redis_client.unlink(*keys)


class CachingInATestCase(TestCase):
    databases = {"default", "other"}

    @classmethod
    def setUpTestData(cls) -> None:
        cls.item = Item.objects.create(name="old", slug="s")
        cls.piece = WrittenPiece.objects.create(slug="written")

    def test_a_row_of_the_class_is_cached(self) -> None:
        Item.objects.get(pk=self.item.pk)
        with self.assertNumQueries(0):
            assert Item.objects.get(pk=self.item.pk).name == "old"

    def test_1_a_write_is_seen_and_cached_again(self) -> None:
        Item.objects.get(pk=self.item.pk)
        self.item.name = "changed"
        self.item.save()
        with self.assertNumQueries(1):
            assert Item.objects.get(pk=self.item.pk).name == "changed"
        with self.assertNumQueries(0):
            assert Item.objects.get(pk=self.item.pk).name == "changed"
        Item.objects.create(name="second", slug="second")
        Item.objects.get(slug="second")

    def test_2_and_does_not_outlive_its_test(self) -> None:
        assert Item.objects.get(pk=self.item.pk).name == "old"
        with pytest.raises(Item.DoesNotExist):
            Item.objects.get(slug="second")

    def test_3_an_absence_is_remembered(self) -> None:
        for queries in (1, 0):
            with self.assertNumQueries(queries), pytest.raises(Item.DoesNotExist):
                Item.objects.get(pk=-1)
        self.item.delete()
        for queries in (1, 0):
            with self.assertNumQueries(queries), pytest.raises(Item.DoesNotExist):
                Item.objects.get(slug="s")

    def test_4_and_does_not_outlive_its_test(self) -> None:
        assert Item.objects.get(slug="s") == Item.objects.get(pk=self.item.pk) == self.item

    def test_5_a_row_that_cannot_be_stored_again_is_read(self) -> None:
        pieces = WrittenPiece.objects.filter(pk=self.piece.pk)
        with mock.patch.object(Reader, "packed", side_effect=ValueError), suppress(ValueError):
            pieces.update(stock=7)
        for queries in (1, 0):
            with self.assertNumQueries(queries):
                assert WrittenPiece.objects.get(pk=self.piece.pk).stock == 7

    def test_6_and_does_not_outlive_its_test(self) -> None:
        assert WrittenPiece.objects.get(pk=self.piece.pk).stock == 0

    def test_a_list_that_is_missing_costs_its_query_alone(self) -> None:
        for queries in (1, 0):
            with self.assertNumQueries(queries):
                assert Item.objects.cache().count() == 1

    def test_a_model_is_invalidated_at_once(self) -> None:
        Item.objects.get(pk=self.item.pk)
        invalidate(Item)
        with self.assertNumQueries(1):
            Item.objects.get(pk=self.item.pk)

    def test_blocks_inside(self) -> None:
        Item.objects.get(pk=self.item.pk)
        with transaction.atomic():
            Item.objects.filter(pk=self.item.pk).update(name="inner")
            assert Item.objects.get(pk=self.item.pk).name == "inner"
        assert Item.objects.get(pk=self.item.pk).name == "inner"
        with self.assertNumQueries(0):
            assert Item.objects.get(pk=self.item.pk).name == "inner"
        try:
            with transaction.atomic():
                Item.objects.filter(pk=self.item.pk).update(name="undone")
                raise ZeroDivisionError
        except ZeroDivisionError:
            pass
        assert Item.objects.get(pk=self.item.pk).name == "inner"

    def test_on_commit_callbacks(self) -> None:
        seen: list[str] = []
        with self.captureOnCommitCallbacks(execute=True), transaction.atomic():
            Item.objects.filter(pk=self.item.pk).update(name="inner")
            transaction.on_commit(lambda: seen.append(Item.objects.get(pk=self.item.pk).name))
        assert seen == ["inner"]

    def test_what_a_block_has_written_through_is_there_when_it_is_left(self) -> None:
        with transaction.atomic():
            piece = WrittenPiece.objects.create(slug="p")
            WrittenPiece.objects.filter(pk=piece.pk).update(stock=1)
        with self.assertNumQueries(0):
            assert WrittenPiece.objects.get(pk=piece.pk).stock == 1
        WrittenPiece.objects.filter(pk=piece.pk).update(stock=2)
        with self.assertNumQueries(0):
            assert WrittenPiece.objects.get(pk=piece.pk).stock == 2
        with transaction.atomic():
            with transaction.atomic():
                WrittenPiece.objects.filter(pk=piece.pk).update(stock=3)
            with self.assertNumQueries(1):
                assert WrittenPiece.objects.get(pk=piece.pk).stock == 3

    def test_cascades(self) -> None:
        label = Label.objects.create(item=self.item, text="x")
        Label.objects.get(pk=label.pk)
        self.item.delete()
        with pytest.raises(Label.DoesNotExist):
            Label.objects.get(pk=label.pk)


class CountingInATransactionTestCase(TransactionTestCase):
    def test_what_is_counted_goes_when_the_database_is_emptied(self) -> None:
        page, cart = Page.objects.create(), Cart.objects.create()
        draft = Draft(Cart)
        page.view_counter.increment()
        draft.save(cart.pk, total=4)
        call_command("migrate", verbosity=0)
        assert Page.view_counter.pending() == draft.pending() == 1
        call_command("flush", interactive=False, verbosity=0)
        assert Page.view_counter.pending() == draft.pending() == 0
        registry.unregister(draft)

    def test_outside_of_tests_nothing_goes(self) -> None:
        page = Page.objects.create()
        page.view_counter.increment()
        outbox = mail.outbox
        del mail.outbox
        try:
            call_command("flush", interactive=False, verbosity=0)
        finally:
            mail.outbox = outbox
        assert Page.view_counter.pending() == 1


class CountingInATestCase(TestCase):
    @classmethod
    def setUpTestData(cls) -> None:
        cls.page = Page.objects.create()

    def test_1_what_is_counted_is_seen_and_flushed(self) -> None:
        self.page.view_counter.increment()
        assert self.page.view_counter.value == 1
        assert Page.view_counter.flush().rows == 1
        self.page.refresh_from_db()
        assert self.page.views == self.page.view_counter.value == 1
        with transaction.atomic():
            self.page.view_counter.increment()
        assert self.page.view_counter.value == 2

    def test_2_and_does_not_outlive_its_test(self) -> None:
        assert Page.view_counter.pending() == 0
        assert self.page.view_counter.value == 0
