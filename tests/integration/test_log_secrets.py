"""The log names keys, but none that would let its reader be somebody else."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from django.contrib.sessions.backends.db import SessionStore as PlainStore

from django_cachepatterns.contrib.sessions import SessionStore
from django_cachepatterns.log_events import shown
from django_cachepatterns.testing import outage
from tests.testapp.models import Item

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("_cached_sessions"),
]


@pytest.fixture
def _cached_sessions(settings: Any) -> None:
    settings.SESSION_ENGINE = "django_cachepatterns.contrib.sessions"


def told(caplog: pytest.LogCaptureFixture) -> str:
    """Everything that a formatter could write of the records."""
    return " ".join(f"{each.getMessage()} {vars(each)}" for each in caplog.records)


def test_a_session_s_key_is_not_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    session = SessionStore()
    session["user"] = 1
    session.save()
    key = session.session_key
    assert key is not None
    with caplog.at_level(logging.DEBUG, "django_cachepatterns"), outage():
        SessionStore(key).load()
        session["user"] = 2
        session.save()
        PlainStore(key).delete()
    events = {each.event for each in caplog.records if hasattr(each, "event")}
    assert events >= {"cache_unavailable", "write_undelivered"}
    assert "sessions.session:***" in told(caplog)
    assert key not in told(caplog)


def test_other_keys_are(caplog: pytest.LogCaptureFixture) -> None:
    item = Item.objects.create(name="i", slug="i")
    with caplog.at_level(logging.ERROR, "django_cachepatterns"), outage():
        Item.objects.filter(pk=item.pk).update(name="new")
    assert f"testapp.item:{item.pk}" in told(caplog)


def test_what_is_no_key_of_ours_is_shown_as_it_is() -> None:
    assert shown(b"somebody's:else") == "somebody's:else"
    assert shown(b"\xff") == "�"
