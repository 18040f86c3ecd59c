"""What the dashboard tells nobody: whose session a key is of, and what would open it."""

from __future__ import annotations

import pytest
import redis
from django.conf import settings as current
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from django_cachepatterns import audit
from django_cachepatterns.audit import Finding
from django_cachepatterns.dashboard import glance
from django_cachepatterns.dashboard.panels import audit as audit_panel
from django_cachepatterns.inspection.secrets import STARS, key_without_secrets

from .dashboard import INDEX, LIVE, client_of

pytestmark = pytest.mark.django_db(transaction=True)

SESSION = "8vx4tbkzqeawn1ucd0yrg5mfhl2sj7po"
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
