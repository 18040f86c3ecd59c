"""`invalidate()`: of objects, models and tags, now or with the commit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections, transaction

from django_cachepatterns import cache_aside, invalidate
from django_cachepatterns.exceptions import PolicyError
from django_cachepatterns.testing import outage
from tests.testapp.models import Basket, Item, Shelf, TtlOnly

pytestmark = pytest.mark.django_db(transaction=True)


def unseen(statement: str, *parameters: Any) -> None:
    """Write behind the library's back."""
    with connections["default"].cursor() as cursor:
        cursor.execute(statement, parameters)


@pytest.fixture
def item() -> Item:
    item = Item.objects.create(name="old", slug="old")
    assert Item.objects.get(pk=item.pk) == Item.objects.get(slug="old") == item
    assert names() == ["old"]
    unseen("UPDATE testapp_item SET name = 'new' WHERE id = %s", item.pk)
    assert Item.objects.get(pk=item.pk).name == "old"
    return item


def names() -> list[str]:
    return list(Item.objects.order_by("pk").cache().values_list("name", flat=True))


def test_an_object_is_read_anew_and_so_are_its_lists(item: Item) -> None:
    invalidate(item)
    assert Item.objects.get(pk=item.pk).name == "new"
    assert names() == ["new"]


def test_a_model_is_read_anew(item: Item) -> None:
    invalidate(Item)
    assert Item.objects.get(pk=item.pk).name == "new"
    assert names() == ["new"]


def test_another_model_is_left_alone(item: Item) -> None:
    shelf = Shelf.objects.create(name="s")
    invalidate(Shelf, shelf)
    assert Item.objects.get(pk=item.pk).name == "old"


def test_in_a_transaction_it_waits_for_the_commit(
    item: Item, elsewhere: Callable[..., Any]
) -> None:
    with transaction.atomic():
        unseen("UPDATE testapp_item SET name = 'newer' WHERE id = %s", item.pk)
        invalidate(item)
        # Nobody is served the old row, and nobody stores it.
        assert elsewhere(lambda: Item.objects.get(pk=item.pk).name) == "new"
        assert Item.objects.get(pk=item.pk).name == "newer"
    assert Item.objects.get(pk=item.pk).name == "newer"
    assert names() == ["newer"]


def test_a_rolled_back_one_does_no_harm(item: Item) -> None:
    with pytest.raises(RuntimeError), transaction.atomic():
        unseen("UPDATE testapp_item SET name = 'newer' WHERE id = %s", item.pk)
        invalidate(item, "some tag")
        raise RuntimeError
    assert Item.objects.get(pk=item.pk).name == "new"


def test_a_row_that_is_left_to_age_is_forgotten_when_it_is_named() -> None:
    row = TtlOnly.objects.create(n=1)
    TtlOnly.objects.get(pk=row.pk)
    TtlOnly.objects.filter(pk=row.pk).update(n=2)
    assert TtlOnly.objects.get(pk=row.pk).n == 1
    invalidate(row)
    assert TtlOnly.objects.get(pk=row.pk).n == 2


@pytest.mark.parametrize("name", ["catalog", "with space", "ünicode", "x" * 300, "a:b"])
def test_a_tag_of_any_name(name: str) -> None:
    calls: list[int] = []

    @cache_aside(key=f"tagged:{len(name)}", ttl=60, tags=[name])
    def tagged() -> int:
        calls.append(1)
        return len(calls)

    tagged.invalidate()
    first = tagged()
    assert tagged() == first
    invalidate("another tag")
    assert tagged() == first
    invalidate(name)
    assert tagged() == first + 1


@pytest.mark.parametrize("target", [42, None, ["tag"], object, int])
def test_anything_else_is_refused(target: Any) -> None:
    with pytest.raises(PolicyError, match=r"Give it a model instance, a model class or the name"):
        invalidate(target)


def test_a_model_that_nobody_follows_is_refused_with_the_remedy() -> None:
    with pytest.raises(PolicyError, match="POLICIES"):
        invalidate(Basket)


def test_without_a_server_it_is_logged(item: Item, caplog: Any) -> None:
    with outage():
        invalidate(item)
    assert "Could not invalidate" in caplog.text
