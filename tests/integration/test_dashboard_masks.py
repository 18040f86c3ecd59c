"""Who may not read what entries hold does not read it in the names of keys, either."""

from __future__ import annotations

import json
import logging
from html import unescape

import pytest
import redis
from django.conf import settings
from django.test import Client, override_settings
from django.urls import reverse
from django.utils import timezone

from django_cachepatterns import audit, cache_aside
from django_cachepatterns.audit import Finding
from django_cachepatterns.dashboard import glance, keys
from django_cachepatterns.dashboard.panels import audit as audit_panel
from django_cachepatterns.dashboard.panels import memory
from django_cachepatterns.inspection import Dependency, Described
from django_cachepatterns.inspection.masks import key_for
from tests.testapp.models import Place

from .dashboard import INDEX, KEY, LIVE, OPERATE, PAYLOADS, VIEW, act, asked, client_of, said, text

pytestmark = pytest.mark.django_db(transaction=True)

LATER = "admin:cachepatterns_later"
ANN, BEN = "ann@example.com", "ben@example.com"


@cache_aside(key="mask/{mail}:of:{n}", ttl=60)
def found_by_mail(mail: str, n: int) -> str:
    return f"{mail}{n}"


def key_of(rest: str) -> str:
    return f"{settings.KEY_PREFIX}:{rest}"


def lookup(name: str) -> str:
    return key_of(f"testapp.place:name={name}")


def shown(rest: str, may_read: bool = False) -> str:
    return key_for(key_of(rest), settings.KEY_PREFIX, may_read).removeprefix(key_of(""))


def whole(client: Client) -> str:
    return "".join(client.get(reverse(name)).content.decode() for name in (INDEX, LIVE))


@pytest.fixture
def _seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lookups by mail among the hottest keys and the findings."""
    hot = [(lookup(ANN), 640), (lookup(BEN), 320), (key_of("testapp.place:7"), 64)]
    monkeypatch.setattr(glance.history, "hottest", lambda *given: hot)
    finding = Finding(lookup(ANN), "testapp.place", "lookup", "differs", timezone.now().timestamp())
    audit.audit()
    monkeypatch.setattr(audit_panel.audit, "recent", lambda: [finding])


@pytest.mark.usefixtures("_seen")
def test_values_of_lookups_are_masked_for_who_may_not_read_payloads() -> None:
    page = whole(client_of(VIEW, OPERATE))
    assert "example.com" not in unescape(page)
    assert page.count("testapp.place:name=***") >= 3
    assert "testapp.place:7" in page


@pytest.mark.usefixtures("_seen")
def test_they_are_shown_to_who_may() -> None:
    page = whole(client_of(VIEW, PAYLOADS))
    assert f"testapp.place:name={ANN}" in page
    assert f"testapp.place:name={BEN}" in page
    assert "***" not in page


def test_the_page_of_a_key_masks_it() -> None:
    Place.objects.create(name=ANN)
    Place.objects.get(name=ANN)
    page = text(client_of(VIEW).get(reverse(KEY), {"key": lookup(ANN)}).content)
    assert "State a value" in page
    assert ANN not in page
    assert "testapp.place:name=***" in page
    page = text(client_of(VIEW, PAYLOADS).get(reverse(KEY), {"key": lookup(ANN)}).content)
    assert f"testapp.place:name={ANN}" in page


def test_what_an_entry_depends_on_is_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    key = key_of("testapp.ticket:~q:abc")
    tag = Dependency(key_of(f"testapp.ticket:~state={ANN}"), True)
    described = Described(key, "testapp.ticket:list", "query", "value", depends_on=(tag,))
    monkeypatch.setattr(keys.inspection, "describe", lambda asked: described)
    page = client_of(VIEW).get(reverse(KEY), {"key": key}).content.decode()
    assert "testapp.ticket:~state=***" in page
    assert ANN not in unescape(page)
    page = client_of(VIEW, PAYLOADS).get(reverse(KEY), {"key": key}).content.decode()
    assert f"testapp.ticket:~state={ANN}" in page


def test_actions_mask_what_they_say(caplog: pytest.LogCaptureFixture) -> None:
    Place.objects.create(name=ANN)
    Place.objects.get(name=ANN)
    given = {"what": "key", "name": lookup(ANN)}
    for codenames, is_shown in (((VIEW, OPERATE), False), ((VIEW, OPERATE, PAYLOADS), True)):
        client = client_of(*codenames)
        assert (ANN in text(asked(client, "invalidate", **given).content)) is is_shown
        with caplog.at_level(logging.INFO, "django_cachepatterns"):
            (done,) = said(act(client, "invalidate", **given))
        assert (ANN in done) is is_shown
        assert "testapp.place:name=" in done
        # Logs have rules of their own, the same for all actions.
        assert ANN in caplog.text


def test_the_log_of_an_action_conceals_what_logs_conceal(caplog: pytest.LogCaptureFixture) -> None:
    session = "8vx4tbkzqeawn1ucd0yrg5mfhl2sj7po"
    given = {"what": "key", "name": key_of(f"sessions.session:{session}")}
    client = client_of(VIEW, OPERATE, PAYLOADS)
    with caplog.at_level(logging.INFO, "django_cachepatterns"):
        (done,) = said(act(client, "invalidate", **given))
    assert "did: Drop the entry" in caplog.text
    assert session not in caplog.text
    assert session not in done


def test_who_types_a_guess_is_not_told_the_digits_of_it() -> None:
    """Else they are those of a masked key in a list, or they are not."""
    digits = shown(f"testapp.place:name={ANN}").partition("***")[2]
    client = client_of(VIEW, OPERATE)
    given = {"what": "key", "name": lookup(ANN)}
    pages = [
        text(client.get(reverse(KEY), {"key": lookup(ANN)}).content),
        text(asked(client, "invalidate", **given).content),
        *said(act(client, "invalidate", **given)),
    ]
    for page in pages:
        assert "testapp.place:name=***" in page
        assert digits not in page


@pytest.mark.parametrize("suffix", ["~waiting", "~wake"])
def test_notes_of_who_waits_name_no_arguments(
    monkeypatch: pytest.MonkeyPatch, redis_client: redis.Redis, suffix: str
) -> None:
    monkeypatch.setattr(memory, "_kept", {})
    redis_client.rpush(key_of(f"fn:mask/{ANN}:of:1{suffix}"), b"1")
    page = client_of(VIEW).get(reverse(LATER, args=["memory"])).content.decode()
    assert "of:1" not in page
    assert ANN not in unescape(page)
    assert " fn 1 " in text(json.loads(page)["panels"]["memory"])


def test_two_keys_can_be_told_apart_and_one_is_known_again() -> None:
    ann, ben = (shown(f"testapp.place:name={name}") for name in (ANN, BEN))
    assert ann != ben
    assert ann == shown(f"testapp.place:name={ANN}")


def test_nobody_without_the_secret_key_finds_a_value_by_trying() -> None:
    here = shown(f"testapp.place:name={ANN}")
    with override_settings(SECRET_KEY="another"):
        assert shown(f"testapp.place:name={ANN}") != here


@pytest.mark.parametrize(
    ("rest", "pattern"),
    [
        ("testapp.item:7", None),
        ("testapp.item:~rows", None),
        ("testapp.item:~q:abc", None),
        ("testapp.item:slug=one", "testapp.item:slug={}"),
        ("testapp.item:shelf_id=3&place=9", "testapp.item:shelf_id=3&place={}"),
        ("testapp.byname:item_id=one", "testapp.byname:item_id={}"),
        ("testapp.page:~shelf_id=3", None),
        ("testapp.ticket:~state=ill", "testapp.ticket:~state={}"),
        ("testapp.item:slug=#0123", "testapp.item:slug={}"),
        ("no.model:mail=a@b.c", "no.model:mail={}"),
        ("no.model:7", None),
        ("tag:catalog", None),
        ("value:prices:7", None),
        (f"value:by-mail:{ANN}", "value:by-mail:{}"),
        ("value:by-mail:shop.user=7", None),
        (f"fragment:sidebar:body:de:UTC:7:{ANN}", "fragment:sidebar:body:de:UTC:7:{}"),
        (f"fragment:sidebar:{ANN}~all", "fragment:sidebar:{}~all"),
        ("fragment:sidebar~all", None),
        (f"fn:mask/{ANN}:of:12", "fn:mask/{}:of:12"),
        (f"fn:nobody.knows:{ANN}", "fn:{}"),
        ("buffer:{testapp.page.views}:active", None),
    ],
)
def test_only_what_may_be_private_is_masked(rest: str, pattern: str | None) -> None:
    assert shown(rest, may_read=True) == rest
    found = shown(rest)
    if pattern is None:
        assert found == rest
        return
    before, after = pattern.split("{}")
    assert found.startswith(f"{before}***")
    assert found.endswith(after)
    assert len(found) == len(before) + len("***12345678") + len(after)


def test_keys_of_tenants_are_masked_too() -> None:
    key = f"tenant:acme:{settings.KEY_PREFIX}:testapp.place:name={ANN}"
    found = key_for(key, settings.KEY_PREFIX, False)
    assert found.startswith(f"tenant:acme:{settings.KEY_PREFIX}:testapp.place:name=***")
    assert key_for("of:somebody:else=1", settings.KEY_PREFIX, False) == "of:somebody:else=1"
