"""A cache that fails in the middle of a lookup costs the reader nothing but time."""

from __future__ import annotations

import pytest

from django_cachepatterns.exceptions import StoreUnavailable
from django_cachepatterns.stores import RedisStore
from tests.testapp.models import Item

pytestmark = pytest.mark.django_db(transaction=True)


def _fail(*args: object) -> int:
    raise StoreUnavailable("TimeoutError: Timeout reading from socket")


def test_pointer_that_cannot_be_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    Item.objects.create(pk=1, name="a", slug="shoe")
    Item.objects.get(slug="shoe")
    Item.objects.filter(pk=1).update(slug="boot")
    Item.objects.create(pk=2, name="b", slug="shoe", place=2)
    monkeypatch.setattr(RedisStore, "drop", _fail)
    assert Item.objects.get(slug="shoe").pk == 2
