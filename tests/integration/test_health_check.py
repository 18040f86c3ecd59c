"""Health checks: a site without its cache works, and says what it lacks."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.test import Client, override_settings
from django.urls import path
from django.utils import timezone
from health_check.views import HealthCheckView

from django_cachepatterns.contrib.health_check import BufferServer, CacheServer, WriteBehind
from django_cachepatterns.contrib.status import status
from django_cachepatterns.testing import outage
from django_cachepatterns.write_behind import registry
from django_cachepatterns.write_behind.records import DeadLetter
from tests.testapp.models import Page

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "other"]),
    pytest.mark.urls(__name__),
]

SERVERS = [CacheServer, BufferServer]
urlpatterns = [
    path("health/", HealthCheckView.as_view(checks=[*SERVERS, WriteBehind])),
    path(
        "alarm/",
        HealthCheckView.as_view(
            checks=[(each, {"critical": True}) for each in (*SERVERS, WriteBehind)]
        ),
    ),
    path(
        "patient/",
        HealthCheckView.as_view(
            checks=[(WriteBehind, {"critical": True, "max_age": timedelta(0)})],
        ),
    ),
    path(
        "lenient/",
        HealthCheckView.as_view(
            checks=[(WriteBehind, {"critical": True, "max_dead_letters": None})],
        ),
    ),
    path("status/", status),
]


@pytest.fixture
def page() -> Iterator[Page]:
    yield Page.objects.create(title="p")
    for buffer in registry.buffers():
        buffer.server().forget(buffer.keys())


def answer(address: str) -> tuple[int, dict[str, Any]]:
    response = Client().get(address, headers={"accept": "application/json"})
    return response.status_code, response.json()


def refuse(name: str) -> None:
    DeadLetter.objects.create(
        buffer=name,
        batch="0" * 32,
        member="1",
        payload="1",
        reason="out of range",
        refused_at=timezone.now(),
    )


def test_all_is_well(page: Page) -> None:
    Page.view_counter.increment(page.pk)
    code, found = answer("/alarm/")
    assert code == 200
    assert set(found.values()) == {"OK"}
    assert "CacheServer(state='ok')" in found


def test_a_site_without_its_cache_is_up_and_says_so(page: Page, caplog: Any) -> None:
    with outage(), caplog.at_level(logging.WARNING, "django_cachepatterns"):
        code, found = answer("/health/")
    assert code == 200
    assert set(found) == {
        "CacheServer(state='away')",
        "BufferServer(state='away')",
        "WriteBehind(state='unknown')",
    }
    events = {(each.event, each.check) for each in caplog.records if hasattr(each, "check")}
    assert events == {("degraded", name) for name in ("CacheServer", "BufferServer", "WriteBehind")}


def test_an_alarm_is_raised_where_it_was_asked_for(page: Page) -> None:
    with outage():
        code, found = answer("/alarm/")
    assert code == 500
    assert found["CacheServer(state='away')"].startswith("Unavailable: The server of CACHE")
    assert found["BufferServer(state='away')"].startswith("Unavailable: The server of BUFFER_CACHE")
    assert found["WriteBehind(state='unknown')"].startswith("Warning: ")


def test_a_cache_that_cannot_be_one_is_away(page: Page, settings: Any) -> None:
    settings.CACHES = {
        **settings.CACHES,
        "memory": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    }
    with override_settings(CACHEPATTERNS={**settings.CACHEPATTERNS, "CACHE": "memory"}):
        code, found = answer("/alarm/")
    assert code == 500
    assert found["BufferServer(state='ok')"] == "OK"
    assert "CacheServer(state='away')" in found


def test_no_address_of_a_server_is_told(page: Page) -> None:
    with outage():
        _, found = answer("/alarm/")
    assert "127.0.0.1" not in str(found)
    assert "outage()" not in str(found)


def test_what_waits_for_too_long_is_said(page: Page) -> None:
    assert answer("/patient/")[0] == 200
    Page.view_counter.increment(page.pk)
    while not any(each.age for each in Page.view_counter.server().backlog(buffer_keys())):
        pass
    code, found = answer("/patient/")
    assert code == 500
    assert "1 rows of testapp.Page.views wait" in found["WriteBehind(state='late')"]
    assert answer("/alarm/")[0] == 200
    Page.view_counter.flush()
    assert answer("/patient/")[0] == 200


def buffer_keys() -> Any:
    return Page.view_counter.keys()


def test_dead_letters_are_said(page: Page) -> None:
    refuse("testapp.Page.likes")
    code, found = answer("/alarm/")
    assert code == 500
    text = found["WriteBehind(state='dead letters')"]
    assert text == "Warning: There are 1 dead letters, of testapp.Page.likes."
    assert answer("/health/")[0] == 200
    assert answer("/lenient/")[0] == 200


def test_the_metrics_of_the_checks_name_the_state(page: Page) -> None:
    with outage():
        text = Client().get("/health/?format=openmetrics").content.decode()
    assert 'django_health_check_status{check="CacheServer",state="away"} 1' in text


def test_a_check_leaves_an_open_connection_open(page: Page) -> None:
    assert connections["default"].connection is not None
    WriteBehind().run()
    assert connections["default"].connection is not None


def test_a_check_leaves_no_connection_behind(page: Page) -> None:
    connections["default"].close()
    WriteBehind().run()
    assert connections["default"].connection is None


def test_the_status_of_a_site_that_works(page: Page) -> None:
    Page.view_counter.increment(page.pk, 3)
    code, found = answer("/status/?strict=1")
    assert code == 200
    assert found["status"] == "ok"
    assert found["cache"] is found["buffers"] is True
    assert found["backlog"]["testapp.Page.views"]["rows"] == 1
    assert found["dead_letters"]["testapp.Page.views"] == 0


def test_the_status_of_a_site_without_its_cache(page: Page) -> None:
    with outage():
        code, found = answer("/status/")
        strict, _ = answer("/status/?strict=1")
    assert (code, strict) == (200, 503)
    assert found["status"] == "degraded"
    assert found["cache"] is found["buffers"] is False
    assert found["backlog"] is None


def test_the_status_of_a_site_with_dead_letters(page: Page) -> None:
    refuse("testapp.Page.likes")
    code, found = answer("/status/?strict=1")
    assert code == 503
    assert found["dead_letters"]["testapp.Page.likes"] == 1


def test_the_status_is_not_kept_by_caches(page: Page) -> None:
    assert "no-store" in Client().get("/status/").headers["Cache-Control"]
    assert Client().post("/status/").status_code == 405
