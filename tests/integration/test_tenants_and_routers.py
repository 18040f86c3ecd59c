from __future__ import annotations

from contextvars import ContextVar
from typing import Any

import pytest
from django.db import connections
from django.test import override_settings

from django_cachepatterns.orm.rows import rows_of
from tests.testapp.models import Item, Label

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

current: ContextVar[str | None] = ContextVar("current", default=None)


def tenant() -> str | None:
    return current.get()


def router(read: str, write: str) -> Any:
    class Router:
        def db_for_read(self, model: Any, **hints: Any) -> str:
            return read

        def db_for_write(self, model: Any, **hints: Any) -> str:
            return write

        def allow_relation(self, *args: Any, **hints: Any) -> bool:
            return True

    return Router()


@pytest.fixture
def tenants(settings: Any) -> None:
    settings.CACHEPATTERNS = {
        **settings.CACHEPATTERNS,
        "TENANT": "tests.integration.test_tenants_and_routers.tenant",
    }


def test_each_tenant_has_its_own_keys(tenants: None) -> None:
    current.set("acme")
    rows = rows_of(Item)
    assert rows is not None
    assert rows.entry_key(42).startswith(b"tenant:acme:cpt")
    assert rows.entry_key(42).endswith(b":testapp.item:42")
    current.set("a:b c")
    other = rows_of(Item)
    assert other is not None
    assert other.entry_key(42).startswith(b"tenant:#")
    item = Item.objects.create(name="old", slug="s")
    Item.objects.get(pk=item.pk)
    Item.objects.filter(pk=item.pk).update(name="new")
    assert Item.objects.get(pk=item.pk).name == "new"


def test_a_tenant_that_cannot_be_imported_says_so(settings: Any) -> None:
    from django.core.exceptions import ImproperlyConfigured

    settings.CACHEPATTERNS = {"TENANT": "nowhere.tenant"}
    with pytest.raises(ImproperlyConfigured, match=r"TENANT.*nowhere\.tenant"):
        Item.objects.filter(pk=1).first()


def test_a_replica_is_never_filled_from(django_assert_num_queries: Any) -> None:
    """Reads are routed to a replica that lags; entries are loaded from the primary."""
    item = Item.objects.create(name="fresh", slug="s")
    Item.objects.using("other").create(pk=item.pk, name="lagging", slug="s")
    with override_settings(DATABASE_ROUTERS=[router("other", "default")]):
        assert Item.objects.get(pk=item.pk).name == "fresh"
        with (
            django_assert_num_queries(0),
            django_assert_num_queries(0, connection=connections["other"]),
        ):
            found = Item.objects.get(pk=item.pk)
        assert found.name == "fresh"
        assert found._state.db == "other", "as Django says of a row that was routed there"
        assert Item.objects.get(slug="s").name == "fresh"


def test_rows_of_another_database_have_keys_of_their_own() -> None:
    item = Item.objects.create(name="here", slug="s")
    Item.objects.using("other").create(pk=item.pk, name="there", slug="s")
    assert Item.objects.get(pk=item.pk).name == "here"
    with override_settings(DATABASE_ROUTERS=[router("other", "other")]):
        assert Item.objects.get(pk=item.pk).name == "there"
        assert Item.objects.get(pk=item.pk).name == "there"
        Item.objects.filter(pk=item.pk).update(name="changed there")
        assert Item.objects.get(pk=item.pk).name == "changed there"
    assert Item.objects.get(pk=item.pk).name == "here"


def test_a_foreign_key_follows_its_rows_database() -> None:
    item = Item.objects.create(name="here", slug="s")
    Item.objects.using("other").create(pk=item.pk, name="there", slug="s")
    Label.objects.using("other").create(pk=1, item_id=item.pk, text="x")
    Label.objects.create(pk=1, item=item, text="x")
    assert Item.objects.get(pk=item.pk).name == "here"
    assert Label.objects.using("other").get(pk=1).item.name == "there"
    assert Label.objects.get(pk=1).item.name == "here"
