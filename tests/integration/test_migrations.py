"""What migrations and `flush` do to the tables is not seen row by row."""

from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection

from django_cachepatterns.invalidation import events
from tests.testapp.models import Item, Shelf

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


class Step:
    def __init__(self, app_label: str) -> None:
        self.app_label = app_label


def migrated(plan: Any) -> None:
    for config in apps.get_app_configs():
        events.after_migrate(sender=config, using="default", plan=plan)


@pytest.fixture
def item() -> Item:
    item = Item.objects.create(name="old", slug="s", shelf=Shelf.objects.create(name="top"))
    Item.objects.get(pk=item.pk)
    Item.objects.get(slug="s")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE testapp_item SET name = 'new'")
    assert Item.objects.get(pk=item.pk).name == "old"
    return item


def test_entries_of_a_migrated_app_are_dropped(item: Item) -> None:
    migrated([(Step("testapp"), False)])
    assert Item.objects.get(pk=item.pk).name == "new"


def test_those_of_other_apps_stay(item: Item, django_assert_num_queries: Any) -> None:
    migrated([(Step("shop"), False)])
    migrated([])
    with django_assert_num_queries(0):
        assert Item.objects.get(pk=item.pk).name == "old"


def test_flush_leaves_no_ghosts(item: Item) -> None:
    call_command("flush", interactive=False, verbosity=0)
    with pytest.raises(Item.DoesNotExist):
        Item.objects.get(pk=item.pk)
    with pytest.raises(Item.DoesNotExist):
        Item.objects.get(slug="s")
