"""What tests of the dashboard have in common."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import redis
from django.conf import settings
from django.contrib.auth.models import Permission, User
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from django_cachepatterns.metrics import flushing

INDEX = "admin:django_cachepatterns_dashboard_changelist"
LIVE = "admin:cachepatterns_live"
POLICY = "admin:cachepatterns_policy"
KEY = "admin:cachepatterns_key"
VIEW, OPERATE, PAYLOADS = "view_dashboard", "operate_cache", "view_payloads"


def client_of(*codenames: str, **more: Any) -> Client:
    """Somebody of the staff with some permissions."""
    user = User.objects.create_user("-".join(codenames) or "nobody", is_staff=True, **more)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client = Client()
    client.force_login(user)
    return client


def root() -> Client:
    """A superuser."""
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


def act(client: Client, action: str, /, **given: Any) -> Any:
    """The response to an action that is done."""
    return client.post(reverse("admin:cachepatterns_act", args=[action]), given)


def asked(client: Client, action: str, /, **given: Any) -> Any:
    """The response to an action that is asked for."""
    return client.get(reverse("admin:cachepatterns_act", args=[action]), given)


def said(response: Any) -> list[str]:
    """What an action says that it did."""
    queued = get_messages(response.wsgi_request)._queued_messages
    return [str(message) for message in queued]


def text(html: str | bytes) -> str:
    """What a page says, without its tags."""
    whole = html.decode() if isinstance(html, bytes) else html
    whole = re.sub(r"<script.*?</script>", " ", whole, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", whole)).split())


def sent() -> None:
    """Have this process send what it has counted."""
    assert flushing.flush()


def forget_figures() -> None:
    """Forget what was counted so far."""
    flushing.flush()
    with redis.Redis.from_url(settings.CACHES["default"]["LOCATION"]) as client:
        for key in client.scan_iter(f"{settings.KEY_PREFIX}:metrics:*"):
            client.delete(key)
