"""The dashboard where something is wrong: it says so, soon, and is never an error of its own."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client, override_settings
from django.urls import reverse
from django.utils.formats import date_format
from redis.exceptions import ConnectionError as RedisConnectionError

from django_cachepatterns import ReadThrough, audit
from django_cachepatterns.dashboard import glance as looking
from django_cachepatterns.metrics.measured import Measured
from django_cachepatterns.testing import outage
from django_cachepatterns.testing.wire import before_sending
from example_project.servers import Valkey
from tests.testapp.models import Page

from .dashboard import INDEX, KEY, LIVE, POLICY, act, asked, root, said, text

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


@pytest.fixture
def client() -> Client:
    return root()


def pages() -> list[str]:
    """Every address that can be looked at."""
    key = f"{settings.KEY_PREFIX}:testapp.item:1"
    return [
        reverse(INDEX),
        "/admin/django_cachepatterns/",
        f"{reverse(POLICY)}?name=testapp.item",
        f"{reverse(KEY)}?key={key}",
        reverse(LIVE),
        f"{reverse(LIVE)}?name=testapp.item",
        reverse("admin:cachepatterns_later", args=["memory"]),
    ]


@contextmanager
def server_at(location: str) -> Iterator[None]:
    """Within the block, entries and buffers are on another server."""
    caches = {"default": {**settings.CACHES["default"], "LOCATION": location}}
    with override_settings(CACHES=caches):
        yield


@contextmanager
def deaf_server() -> Iterator[str]:
    """A server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"


def test_it_is_there_while_the_server_is_away(client: Client) -> None:
    for address in pages():
        with outage():
            response = client.get(address)
        assert response.status_code == 200, address
        assert "does not answer" in response.content.decode(), address


def test_what_is_not_known_is_not_said_to_be_nothing(client: Client) -> None:
    with outage():
        for address in (reverse(INDEX), f"{reverse(POLICY)}?name=testapp.item"):
            page = text(client.get(address).content)
            assert "Not known now: see above." in page
            for wrong in ("Reads 0", "othing was read", "No data yet", "No key was sampled", "0 0"):
                assert wrong not in page, (address, wrong)


@contextmanager
def refusing() -> Iterator[list[bytes]]:
    """A server that is away, and what it was asked: each question costs a timeout, so their number
    is what counts."""
    asked_for: list[bytes] = []

    def refuse(packed: bytes) -> None:
        asked_for.append(packed)
        raise RedisConnectionError("away")

    with before_sending(refuse):
        yield asked_for


def test_it_asks_a_server_that_is_away_no_more_than_it_must(client: Client) -> None:
    for address in pages():
        with refusing() as asked_for:
            client.get(address)
        assert len(asked_for) == 1, address


@pytest.mark.parametrize(
    ("name", "given", "server"),
    [
        ("invalidate", {"what": "tag", "name": "catalog"}, "cache"),
        ("invalidate", {"what": "policy", "name": "testapp.page"}, "cache"),
        ("invalidate", {"what": "policy", "name": "testapp.page:list"}, "cache"),
        ("flush", {"name": ""}, "buffer"),
        ("retry", {"name": ""}, "cache"),
        ("warm", {"name": "testapp.page", "which": "first", "limit": 1}, "cache"),
        ("warm", {"name": "testapp.page", "which": "hot", "limit": 1}, "cache"),
    ],
)
def test_actions_try_nothing_while_their_server_is_away(
    client: Client, name: str, given: dict[str, object], server: str
) -> None:
    with refusing() as asked_for:
        response = act(client, name, **given)
    (done,) = said(response)
    assert f"failed: the {server} server does not answer, so nothing was done." in done
    assert len(asked_for) == 1


@pytest.mark.usefixtures("impatient")
def test_it_outlasts_a_server_that_hangs(client: Client, own_valkey: Valkey) -> None:
    with server_at(own_valkey.url):
        assert "✓ up" in text(client.get(reverse(INDEX)).content)
        own_valkey.pause()
        try:
            assert "does not answer" in text(client.get(reverse(INDEX)).content)
            (done,) = said(act(client, "flush", name=""))
            assert "the buffer server does not answer" in done
        finally:
            own_valkey.resume()
        assert "✓ up" in text(client.get(reverse(INDEX)).content)


@pytest.mark.usefixtures("impatient")
def test_it_is_there_while_the_server_is_deaf(client: Client) -> None:
    with deaf_server() as location, server_at(location):
        for address in pages():
            response = client.get(address)
            assert response.status_code == 200, address
            assert "does not answer" in response.content.decode(), address


def test_it_is_there_when_the_server_has_died(client: Client, own_valkey: Valkey) -> None:
    with server_at(own_valkey.url):
        assert "✓ up" in text(client.get(reverse(INDEX)).content)
        own_valkey.stop()
        page = text(client.get(reverse(INDEX)).content)
    assert "The cache server does not answer" in page
    assert "Policies" in page


def test_actions_say_that_the_server_is_away(client: Client) -> None:
    row = Page.objects.create(title="a")
    for name, given in (
        ("invalidate", {"what": "tag", "name": "catalog"}),
        ("invalidate", {"what": "policy", "name": "testapp.page"}),
        ("flush", {"name": "testapp.Page.views"}),
        ("warm", {"name": "testapp.page", "which": "first", "limit": 1}),
    ):
        with outage():
            response = act(client, name, **given)
        assert response.status_code == 302, name
        assert any("outage()" in each or "failed" in each for each in said(response)), name
    with outage():
        key = f"{settings.KEY_PREFIX}:testapp.page:{row.pk}"
        response = asked(client, "invalidate", what="key", name=key)
    assert response.status_code == 200
    assert "outage()" in text(response.content)


def test_a_cache_that_cannot_be_one_is_said(client: Client) -> None:
    caches = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    with override_settings(CACHES=caches):
        for address in pages():
            response = client.get(address)
            assert response.status_code == 200, address
            assert "LocMemCache" in response.content.decode(), address
        assert "Nothing is cached, and there are no figures" in text(
            client.get(reverse(INDEX)).content
        )


def test_buffers_on_a_server_that_is_away_do_not_hide_the_figures(client: Client) -> None:
    caches = {**settings.CACHES, "buffers": {**settings.CACHES["default"]}}
    caches["buffers"]["LOCATION"] = "redis://127.0.0.1:1/0"
    changed = {**settings.CACHEPATTERNS, "BUFFER_CACHE": "buffers"}
    with override_settings(CACHES=caches, CACHEPATTERNS=changed):
        page = text(client.get(reverse(INDEX)).content)
    assert "The buffer server does not answer" in page
    assert "✓ up" in page


def test_dead_letters_of_tenants_that_nobody_knows_are_not_said_to_be_none(client: Client) -> None:
    """Which databases have them, the server knows; without tenants it is not asked."""
    row = re.compile(r'data-buffer="testapp.Page.views".*?</tr>', re.DOTALL)
    for tenant, last in ((None, "0"), (f"{__name__}.nobody", "–")):  # noqa: RUF001 - a dash
        with (
            override_settings(CACHEPATTERNS={**settings.CACHEPATTERNS, "TENANT": tenant}),
            outage(),
        ):
            page = client.get(reverse(INDEX)).content.decode()
        found = row.search(page)
        assert found is not None
        assert text(f"<p {found[0]}").split()[-1] == last
        assert "Has migrate been run?" not in page


def nobody() -> None:
    """There are tenants, and this request is of none."""


def test_it_is_there_without_the_tables_of_write_behind(client: Client) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE cachepatterns_dead_letter RENAME TO gone")
    try:
        page = text(client.get(reverse(INDEX)).content)
        response = act(client, "retry")
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE gone RENAME TO cachepatterns_dead_letter")
    assert "Has migrate been run?" in page
    assert "Retry dead letters failed" in said(response)[0]


def test_it_needs_no_figures(client: Client) -> None:
    with override_settings(CACHEPATTERNS={**settings.CACHEPATTERNS, "METRICS": False}):
        page = text(client.get(reverse(INDEX)).content)
    assert "METRICS" in page


def test_that_nothing_is_read_from_the_cache_is_said(client: Client) -> None:
    with override_settings(CACHEPATTERNS={**settings.CACHEPATTERNS, "ENABLED": False}):
        page = text(client.get(reverse(INDEX)).content)
    assert "CACHEPATTERNS['ENABLED'] is False" in page


def test_it_needs_no_aware_times(client: Client) -> None:
    audit.audit()
    with override_settings(USE_TZ=False, TIME_ZONE="Asia/Tokyo"):
        for address in pages():
            assert client.get(address).status_code in (200, 404), address
        page = text(client.get(reverse(INDEX)).content)
        moment = datetime.fromtimestamp(audit.last().started, ZoneInfo("Asia/Tokyo"))
        assert date_format(moment, "DATETIME_FORMAT") in page


@pytest.mark.parametrize("key", [(1, 2), date(2024, 1, 1), Decimal("1.5"), b"\xff"])
def test_a_payload_may_have_keys_that_json_has_not(client: Client, key: Any) -> None:
    values = ReadThrough("odd-payloads", load=lambda asked: {key: "found"}, ttl=60)
    values.get("a")
    response = client.get(reverse(KEY), {"key": f"{settings.KEY_PREFIX}:value:odd-payloads:a"})
    assert response.status_code == 200
    assert "found" in text(response.content)


def test_reads_of_a_family_that_is_gone_are_shown(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    totals: Any = {"old.model": Measured({"hit": 10}), "": Measured({"error": 1})}
    monkeypatch.setattr(looking.history, "totals", lambda *given: totals)
    assert "old.model values 10" in text(client.get(reverse(INDEX)).content)
    page = client.get(reverse(POLICY), {"name": "old.model"})
    assert "This process does not know it" in text(page.content)
