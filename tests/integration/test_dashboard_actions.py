"""What can be done on the dashboard, and what it says afterwards."""

from __future__ import annotations

import logging

import pytest
from django.conf import settings
from django.db import connections
from django.test import Client, override_settings
from django.urls import reverse

from django_cachepatterns import cache_aside
from django_cachepatterns.testing import assert_cache_hits
from django_cachepatterns.write_behind.records import DeadLetter
from tests.testapp.models import Item, Page

from .dashboard import INDEX, KEY, POLICY, act, asked, root, said, sent, text

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

called: list[int] = []


@cache_aside(key="acted:{n}", ttl=60, tags=["acted"])
def acted(n: int) -> int:
    called.append(n)
    return n


@pytest.fixture
def client() -> Client:
    return root()


@pytest.fixture
def item() -> Item:
    item = Item.objects.create(name="one", slug="one")
    Item.objects.get(pk=item.pk)
    return item


def key_of(item: Item) -> str:
    return f"{settings.KEY_PREFIX}:testapp.item:{item.pk}"


def state_of(client: Client, key: str) -> str:
    return text(client.get(reverse(KEY), {"key": key}).content)


def test_a_key_is_invalidated(client: Client, item: Item) -> None:
    response = act(client, "invalidate", what="key", name=key_of(item))
    assert said(response) == [f"Invalidated the key {key_of(item)}."]
    assert "gone: nothing is stored" in state_of(client, key_of(item))
    response = act(client, "invalidate", what="key", name=key_of(item))
    assert said(response) == [f"The key {key_of(item)} was gone already."]


def test_a_policy_is_invalidated(client: Client, item: Item) -> None:
    with assert_cache_hits(1):
        Item.objects.get(pk=item.pk)
    response = act(client, "invalidate", what="policy", name="testapp.item")
    (done,) = said(response)
    assert done.startswith("Invalidated testapp.item: ")
    assert "gone: nothing is stored" in state_of(client, key_of(item))


def test_a_function_is_invalidated(client: Client) -> None:
    called.clear()
    acted(1)
    act(client, "invalidate", what="policy", name=f"{__name__}.acted")
    acted(1)
    assert called == [1, 1]


def test_a_tag_is_invalidated(client: Client) -> None:
    called.clear()
    acted(2)
    response = act(client, "invalidate", what="tag", name="acted")
    assert said(response) == ["Invalidated the tag acted."]
    acted(2)
    assert called == [2, 2]


@pytest.mark.parametrize(
    ("what", "name", "message"),
    [
        ("key", "somebody:else", "is not a key of this library"),
        ("policy", "no.such", "Nothing that is cached is called"),
        ("policy", "auth.Group", "is cached"),
        ("everything", "x", "Select a valid choice"),
        ("key", "", "This field is required"),
        ("tag", "x" * 5000, "at most 4096 characters"),
    ],
)
def test_what_cannot_be_invalidated_is_said(
    client: Client, what: str, name: str, message: str
) -> None:
    for response in (
        asked(client, "invalidate", what=what, name=name),
        act(client, "invalidate", what=what, name=name),
    ):
        assert response.status_code == 200
        assert message in text(response.content)


def test_a_buffer_is_not_invalidated_for_it_would_be_lost(client: Client) -> None:
    row = Page.objects.create(title="a")
    Page.view_counter.increment(row.pk)
    key = f"{settings.KEY_PREFIX}:buffer:{{testapp.page.views}}:active"
    response = act(client, "invalidate", what="key", name=key)
    assert "which would be lost" in text(response.content)
    assert Page.view_counter.pending() == 1


@pytest.mark.parametrize("name", ["testapp.Page.views", "testapp.page.views", "best-sellers"])
def test_a_buffer_that_is_to_be_invalidated_is_called_one(client: Client, name: str) -> None:
    for respond in (asked, act):
        page = text(respond(client, "invalidate", what="policy", name=name).content)
        assert "is a write-behind buffer" in page
        assert "Flush it: 'Flush buffers'" in page
        assert "Nothing that is cached" not in page


def test_a_buffer_has_no_page_of_a_policy_and_no_key_to_invalidate(client: Client) -> None:
    row = Page.objects.create(title="a")
    Page.view_counter.increment(row.pk)
    key = f"{settings.KEY_PREFIX}:buffer:{{testapp.page.views}}:active"
    page = client.get(reverse(KEY), {"key": key}).content.decode()
    assert "Invalidate…" not in page
    assert "#write_behind" in page
    assert f"{reverse(POLICY)}?" not in page
    Page.view_counter.flush()
    sent()
    response = client.get(reverse(POLICY), {"name": "testapp.Page.views"})
    assert response.status_code == 404
    assert "is a write-behind buffer" in text(response.content)


def test_rows_are_warmed(client: Client) -> None:
    rows = [Item.objects.create(name=str(at), slug=str(at)) for at in range(5)]
    given = {"name": "testapp.item", "which": "first", "limit": 3}
    assert "up to 3 rows of testapp.Item" in text(asked(client, "warm", **given).content)
    (done,) = said(act(client, "warm", **given))
    assert done.startswith("Warmed testapp.Item: 3 rows filled")
    with assert_cache_hits(3):
        for row in rows[:3]:
            Item.objects.get(pk=row.pk)


def test_hot_rows_are_warmed(client: Client, item: Item) -> None:
    for _ in range(400):
        Item.objects.get(pk=item.pk)
    sent()
    act(client, "invalidate", what="key", name=key_of(item))
    given = {"name": "testapp.item", "which": "hot", "limit": 10}
    assert "1 rows filled" in said(act(client, "warm", **given))[0]
    assert "State a value" in state_of(client, key_of(item))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"name": "auth.user", "limit": 1}, "Select a valid choice"),
        ({"name": "testapp.item", "limit": 0}, "greater than or equal to 1"),
        ({"name": "testapp.item", "limit": 10**9}, "less than or equal to 20000"),
        ({"name": "testapp.item", "limit": "many"}, "Enter a whole number"),
        ({}, "This field is required"),
    ],
)
def test_what_cannot_be_warmed_is_said(
    client: Client, given: dict[str, object], message: str
) -> None:
    response = act(client, "warm", which="first", **given)
    assert response.status_code == 200
    assert message in text(response.content)


def test_why_a_model_cannot_be_warmed_is_said(client: Client) -> None:
    changed = {**settings.CACHEPATTERNS, "POLICIES": {"testapp.Item": {"admit_after": 3}}}
    with override_settings(CACHEPATTERNS=changed):
        response = asked(client, "warm", name="testapp.item", which="first", limit=1)
    assert "has admit_after=3" in text(response.content)


def test_buffers_are_flushed(client: Client) -> None:
    row = Page.objects.create(title="a")
    Page.view_counter.increment(row.pk, 5)
    response = act(client, "flush", name="testapp.Page.views")
    assert said(response) == ["Flushed 1 rows in 1 batches."]
    assert Page.objects.nocache().get(pk=row.pk).views == 5
    assert said(act(client, "flush")) == ["Flushed 0 rows in 0 batches."]


def test_buffers_are_flushed_where_each_request_is_a_transaction(client: Client) -> None:
    row = Page.objects.create(title="a")
    Page.view_counter.increment(row.pk, 5)
    for alias in connections:
        connections[alias].settings_dict["ATOMIC_REQUESTS"] = True
    try:
        response = act(client, "flush", name="testapp.Page.views")
    finally:
        for alias in connections:
            connections[alias].settings_dict["ATOMIC_REQUESTS"] = False
    assert said(response) == ["Flushed 1 rows in 1 batches."]


def test_dead_letters_are_retried(client: Client) -> None:
    row = Page.objects.create(title="a", likes=32_767)
    Page.like_counter.increment(row.pk, 2)
    Page.like_counter.flush()
    assert "1 were refused again" in said(act(client, "retry", name="testapp.Page.likes"))[0]
    Page.objects.filter(pk=row.pk).update(likes=1)
    response = act(client, "retry")
    assert said(response) == ["1 dead letters are written to the database."]
    assert not DeadLetter.objects.exists()
    assert Page.objects.nocache().get(pk=row.pk).likes == 3
    assert said(act(client, "retry")) == ["There are no dead letters."]


def test_an_unknown_buffer_is_said_to_be_none(client: Client) -> None:
    for name in ("flush", "retry"):
        response = act(client, name, name="nobody's")
        assert "Select a valid choice" in text(response.content)


def test_an_unknown_action_is_not_found(client: Client) -> None:
    assert asked(client, "explode").status_code == 404
    assert act(client, "explode").status_code == 404


def test_one_goes_back_to_where_one_came_from(client: Client, item: Item) -> None:
    back = f"{reverse(KEY)}?key={key_of(item)}"
    response = act(client, "invalidate", what="key", name=key_of(item), back=back)
    assert response.headers["Location"] == back
    page = asked(client, "invalidate", what="key", name=key_of(item), back=back).content.decode()
    assert f'href="{back}"' in page


@pytest.mark.parametrize(
    "back", ["https://evil.example/", "//evil.example/", "javascript:alert(1)"]
)
def test_one_is_not_sent_to_another_site(client: Client, item: Item, back: str) -> None:
    response = act(client, "invalidate", what="key", name=key_of(item), back=back)
    assert response.headers["Location"] == reverse(INDEX)
    page = asked(client, "invalidate", what="key", name=key_of(item), back=back)
    assert back not in page.content.decode()


def test_who_did_what_is_logged(
    client: Client, item: Item, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "django_cachepatterns"):
        act(client, "invalidate", what="key", name=key_of(item))
    assert f"root did: Drop the entry {key_of(item)}" in caplog.text
