"""What the dashboard tells nobody: whose session a key is of, and what would open it."""

from __future__ import annotations

import pytest
import redis
from django.conf import settings as current
from django.contrib.sessions.models import Session
from django.db import models
from django.test import Client
from django.test.utils import isolate_apps
from django.urls import reverse
from django.utils import timezone

from django_cachepatterns import audit
from django_cachepatterns.audit import Finding, comparing
from django_cachepatterns.dashboard import glance
from django_cachepatterns.dashboard.panels import audit as audit_panel
from django_cachepatterns.inspection import masks, secrets
from django_cachepatterns.inspection.masks import key_for
from django_cachepatterns.inspection.secrets import STARS, key_without_secrets, without_secrets
from tests.testapp.models import Place

from .dashboard import INDEX, LIVE, client_of

pytestmark = pytest.mark.django_db(transaction=True)

SESSION = "8vx4tbkzqeawn1ucd0yrg5mfhl2sj7po"
STARRED = f"session_id={STARS}"
PERMISSIONS = ("view_dashboard", "operate_cache", "view_payloads")


def session_key() -> str:
    return f"{current.KEY_PREFIX}:sessions.session:{SESSION}"


def whole(client: Client) -> str:
    return "".join(client.get(reverse(name)).content.decode() for name in (INDEX, LIVE))


def test_a_hot_session_is_shown_without_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    item = f"{current.KEY_PREFIX}:testapp.item:7"
    hot = [(session_key(), 640), (item, 64)]
    monkeypatch.setattr(glance.history, "hottest", lambda *given: hot)
    page = whole(client_of(*PERMISSIONS))
    assert SESSION not in page
    assert f"sessions.session:{STARS}" in page
    assert "testapp.item:7" in page


def test_a_finding_about_a_session_is_shown_without_its_key(
    monkeypatch: pytest.MonkeyPatch, redis_client: redis.Redis
) -> None:
    audit.audit()
    finding = Finding(
        session_key(), "sessions.session", "row", "differs", timezone.now().timestamp()
    )
    monkeypatch.setattr(audit_panel.audit, "recent", lambda: [finding])
    page = whole(client_of(*PERMISSIONS))
    assert SESSION not in page
    assert f"sessions.session:{STARS}" in page


@pytest.mark.parametrize(
    ("rest", "shown"),
    [
        (f"sessions.session:{SESSION}", f"sessions.session:{STARS}"),
        (f"sessions.session@other:{SESSION}", f"sessions.session@other:{STARS}"),
        ("testapp.item:7", "testapp.item:7"),
        ("testapp.item:slug=one", "testapp.item:slug=one"),
        ("testapp.item:api_token=abc&slug=one", f"testapp.item:api_token={STARS}&slug=one"),
        ("testapp.item:~api_token=abc", f"testapp.item:~api_token={STARS}"),
        ("testapp.item:~api_token", "testapp.item:~api_token"),
        ("testapp.item:api_token=#0123", "testapp.item:api_token=#0123"),
        ("nothing.known:abc", "nothing.known:abc"),
        ("tag:token=abc", "tag:token=abc"),
    ],
)
def test_keys_are_shown_without_what_is_secret_in_them(rest: str, shown: str) -> None:
    for root in (current.KEY_PREFIX, f"tenant:acme:{current.KEY_PREFIX}"):
        assert key_without_secrets(f"{root}:{rest}", current.KEY_PREFIX) == f"{root}:{shown}"
    assert key_without_secrets("of:somebody:else", current.KEY_PREFIX) == "of:somebody:else"


@isolate_apps("tests.testapp")
def test_what_refers_to_a_session_shows_no_key_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Cart(models.Model):
        session = models.ForeignKey(Session, models.CASCADE)
        place = models.ForeignKey(Place, models.CASCADE)

        class Meta:
            app_label = "testapp"

    class Login(models.Model):
        session = models.OneToOneField(Session, models.CASCADE, primary_key=True)

        class Meta:
            app_label = "testapp"

    known = {"testapp.cart": Cart, "testapp.login": Login}
    for module in (secrets, masks):
        monkeypatch.setattr(module, "model_of", lambda name: known[name.label])
    for rest, shown in (
        (f"testapp.cart:place_id=7&session_id={SESSION}", f"testapp.cart:place_id=7&{STARRED}"),
        (f"testapp.cart:~session_id={SESSION}", f"testapp.cart:~{STARRED}"),
        (f"testapp.login:{SESSION}", f"testapp.login:{STARS}"),
    ):
        for may_read in (True, False):
            found = key_for(f"{current.KEY_PREFIX}:{rest}", current.KEY_PREFIX, may_read)
            assert found == f"{current.KEY_PREFIX}:{shown}"
    row = {"id": 1, "place_id": 7, "session_id": SESSION, "nothing_known": 2}
    assert without_secrets([row], Cart) == [{**row, "session_id": STARS}]
    assert comparing.shown("session_id", SESSION, Cart) == STARS
    assert comparing.shown("place_id", 7, Cart) == "7"
