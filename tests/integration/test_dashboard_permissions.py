"""Who may see the dashboard, act on it, and read payloads."""

from __future__ import annotations

import pytest
from django.conf import settings
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from tests.testapp.models import Item

from .dashboard import (
    INDEX,
    KEY,
    LIVE,
    OPERATE,
    PAYLOADS,
    POLICY,
    VIEW,
    act,
    asked,
    client_of,
    root,
    text,
)

pytestmark = pytest.mark.django_db(transaction=True)

PAGES = (INDEX, LIVE, f"{POLICY}?name=testapp.item", f"{KEY}?key=x", "later")


@pytest.fixture
def item() -> Item:
    item = Item.objects.create(name="secretive", slug="one")
    Item.objects.get(pk=item.pk)
    return item


def key_of(item: Item) -> str:
    return f"{settings.KEY_PREFIX}:testapp.item:{item.pk}"


def addresses() -> list[str]:
    later = reverse("admin:cachepatterns_later", args=["memory"])
    return [
        later if page == "later" else reverse(page.partition("?")[0]) + "?" + page.partition("?")[2]
        for page in PAGES
    ]


def test_there_are_three_permissions() -> None:
    found = Permission.objects.filter(content_type__app_label="django_cachepatterns")
    codenames = set(found.values_list("codename", flat=True))
    assert {VIEW, OPERATE, PAYLOADS} <= codenames
    assert not {"add_dashboard", "change_dashboard", "delete_dashboard"} & codenames


def test_nobody_sees_it_without_logging_in() -> None:
    for address in addresses():
        response = Client().get(address)
        assert response.status_code == 302
        assert "/login/" in response.headers["Location"]


def test_the_staff_does_not_see_it_without_the_permission() -> None:
    client = client_of(OPERATE, PAYLOADS)
    for address in addresses():
        assert client.get(address).status_code == 403
    assert asked(client, "flush").status_code == 403
    assert "Dashboard" not in text(client.get(reverse("admin:index")).content)


def test_cache_patterns_shows_no_dashboard_to_who_may_not_see_it() -> None:
    client = client_of("view_deadletter")
    page = client.get("/admin/django_cachepatterns/").content.decode()
    assert "Dead letters" in page
    assert "data-figure" not in page


def test_who_may_view_may_not_act(item: Item) -> None:
    client = client_of(VIEW)
    for address in addresses()[:3]:
        page = client.get(address)
        assert page.status_code == 200
        assert b"/act/" not in page.content
    for name in ("invalidate", "warm", "flush", "retry"):
        assert asked(client, name).status_code == 403
        assert act(client, name, what="key", name=key_of(item)).status_code == 403


def test_who_may_act_may(item: Item) -> None:
    client = client_of(VIEW, OPERATE)
    assert b"/act/flush/" in client.get(reverse(INDEX)).content
    for name in ("invalidate", "warm", "flush", "retry"):
        assert asked(client, name).status_code == 200


def test_payloads_are_for_those_with_the_permission(item: Item) -> None:
    address = reverse(KEY)
    hidden = client_of(VIEW).get(address, {"key": key_of(item)}).content.decode()
    assert "secretive" not in hidden
    assert "Hidden: you may not read payloads" in text(hidden)
    shown = client_of(VIEW, PAYLOADS).get(address, {"key": key_of(item)}).content.decode()
    assert "secretive" in shown


def test_superusers_have_all(item: Item) -> None:
    client = root()
    assert "secretive" in client.get(reverse(KEY), {"key": key_of(item)}).content.decode()
    assert asked(client, "flush").status_code == 200


def test_who_is_not_of_the_staff_sees_nothing() -> None:
    user = User.objects.create_user("customer")
    user.user_permissions.set(Permission.objects.filter(codename__in=[VIEW, OPERATE]))
    client = Client()
    client.force_login(user)
    for address in addresses():
        assert client.get(address).status_code == 302


def test_an_action_wants_the_token_against_forged_requests(item: Item) -> None:
    User.objects.create_superuser("root")
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.get(username="root"))
    assert act(client, "invalidate", what="key", name=key_of(item)).status_code == 403
    page = asked(client, "invalidate", what="key", name=key_of(item))
    token = page.context["csrf_token"]
    response = act(
        client, "invalidate", what="key", name=key_of(item), csrfmiddlewaretoken=str(token)
    )
    assert response.status_code == 302


def test_an_action_is_not_done_by_looking_at_it(item: Item) -> None:
    client = root()
    page = asked(client, "invalidate", what="key", name=key_of(item))
    assert "Drop the entry" in text(page.content)
    assert "State a value" in text(client.get(reverse(KEY), {"key": key_of(item)}).content)
    assert client.put(reverse("admin:cachepatterns_act", args=["flush"])).status_code == 405
