"""The views of the dashboard, in an admin site."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.contrib.admin import AdminSite
from django.db import connections, transaction
from django.http import Http404, HttpRequest, HttpResponseBase, JsonResponse
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from ..permissions import APP
from ..write_behind.records import DeadLetter
from .access import may_operate, may_read_payloads, may_view, only
from .actions import ACTIONS, Operation
from .families import buffer_names, family_of
from .glance import CACHE, LIVE, RANGES, USUAL, Glance
from .keys import key_shown, look_at
from .panels import Panel, panel_named, panels_of

TEMPLATES = f"admin/{APP}/dashboard"
INDEX = f"{APP}_dashboard_changelist"
"""The name of the first page's address: that which the admin links a model's name to."""


class Pages:
    """The pages of one admin site.

    Args:
        site: the site.
    """

    def __init__(self, site: AdminSite) -> None:
        self.site = site

    def urls(self) -> list[URLPattern]:
        """Their addresses, below the dashboard's own."""
        return [
            path("", self._wrapped(self.overview), name=INDEX),
            path("policy/", self._wrapped(self.policy), name="cachepatterns_policy"),
            path("key/", self._wrapped(self.key), name="cachepatterns_key"),
            path("live/", self._wrapped(self.live), name="cachepatterns_live"),
            path("later/<slug:name>/", self._wrapped(self.later), name="cachepatterns_later"),
            path("act/<slug:name>/", self._wrapped(self.act), name="cachepatterns_act"),
        ]

    @only(may_view)
    def overview(self, request: HttpRequest) -> HttpResponseBase:
        """All policies."""
        glance = _glance(request)
        return self._page(request, "overview", glance, {"title": "Cache patterns"})

    @only(may_view)
    def policy(self, request: HttpRequest) -> HttpResponseBase:
        """One policy."""
        name = request.GET.get("name", "")
        glance = _glance(request, name)
        known = name in glance.totals or family_of(name).model is not None
        if name.lower() in buffer_names() and name not in glance.policies:
            return self._nothing(
                request, f"{name} is a write-behind buffer. See Write-behind on the dashboard."
            )
        if not name or (not known and not glance.down):
            return self._nothing(request, f"Nothing that is cached is called “{name}”.")
        return self._page(request, "policy", glance, {"title": name, "family": family_of(name)})

    @only(may_view)
    def key(self, request: HttpRequest) -> HttpResponseBase:
        """One key."""
        key = request.GET.get("key", "").strip()
        found = look_at(key, may_read_payloads(request))
        context = {
            "title": "Key",
            "found": found,
            "key": key,
            "shown": key_shown(key, may_read_payloads(request)),
            "may_operate": may_operate(request),
        }
        status = 200 if found.described is not None or found.is_down else 404
        return self._response(request, "key.html", context, status)

    @only(may_view)
    def live(self, request: HttpRequest) -> HttpResponseBase:
        """The panels of a page anew, as JSON: HTML by the name of the panel."""
        name = request.GET.get("name") or None
        glance = _glance(request, name)
        panels = panels_of("policy" if name else "overview")
        rendered = {
            panel.name: self._panel(request, panel, glance) for panel in panels if not panel.later
        }
        return JsonResponse({"panels": rendered, **self._state(glance)})

    @only(may_view)
    def later(self, request: HttpRequest, name: str) -> HttpResponseBase:
        """One panel that takes long, as JSON."""
        panel = panel_named(name)
        if panel is None:
            raise Http404(f"No panel is called {name!r}.")
        glance = _glance(request, request.GET.get("name") or None)
        rendered = {panel.name: self._panel(request, panel, glance)}
        return JsonResponse({"panels": rendered, **self._state(glance)})

    @only(may_operate)
    def act(self, request: HttpRequest, name: str) -> HttpResponseBase:
        """An action: asked with GET, done with POST."""
        action = ACTIONS.get(name)
        if action is None:
            raise Http404(f"No action is called {name!r}.")
        return Operation(self.site, request, action).response()

    def _page(
        self, request: HttpRequest, name: str, glance: Glance, context: dict[str, Any]
    ) -> HttpResponseBase:
        return self._response(request, f"{name}.html", self._shown(request, name, glance, context))

    def as_part(self, request: HttpRequest) -> SafeString:
        """The first page without what is around it, for another page to hold."""
        context = self._shown(request, "overview", _glance(request), {})
        return render_to_string(f"{TEMPLATES}/whole.html", context, request)

    def _shown(
        self, request: HttpRequest, name: str, glance: Glance, context: dict[str, Any]
    ) -> dict[str, Any]:
        panels = [
            (panel, "" if panel.later else self._panel(request, panel, glance))
            for panel in panels_of(name)
        ]
        return {
            **context,
            "panels": [each for each in panels if each[0].later or each[1]],
            "glance": glance,
            "ranges": RANGES,
            "range": glance.range,
            "live_every": LIVE[glance.range],
            "may_operate": may_operate(request),
            "actions": ACTIONS.values(),
            **self._state(glance),
        }

    def _panel(self, request: HttpRequest, panel: Panel, glance: Glance) -> str:
        """A panel's HTML; nothing where it has nothing to show."""
        shown = panel.context(glance)
        if shown is None:
            return ""
        if panel.of_figures and CACHE in glance.down:
            return render_to_string(f"{TEMPLATES}/unknown.html")
        request.current_app = self.site.name
        every = {
            "panel": panel,
            "range": glance.range,
            "may_operate": may_operate(request),
            "may_read_payloads": may_read_payloads(request),
            "policy_url": self._address("cachepatterns_policy"),
            "letters_url": self._letters_address(request),
        }
        return render_to_string(panel.template_name, {**every, **shown}, request)

    def _letters_address(self, request: HttpRequest) -> str:
        """Where the dead letters are read; nothing for whom this site has no such page."""
        if not self.site.is_registered(DeadLetter):
            return ""
        may = self.site.get_model_admin(DeadLetter).has_view_permission(request)
        return self._address(f"{APP}_deadletter_changelist") if may else ""

    def _address(self, name: str) -> str:
        return reverse(f"admin:{name}", current_app=self.site.name)

    def _state(self, glance: Glance) -> dict[str, Any]:
        return {
            "problems": glance.problems(),
            "updated": timezone.localtime(datetime.now(UTC)).strftime("%H:%M:%S"),
        }

    def _nothing(self, request: HttpRequest, said: str) -> HttpResponseBase:
        return self._response(request, "nothing.html", {"title": "Not found", "said": said}, 404)

    def _response(
        self, request: HttpRequest, template: str, context: dict[str, Any], status: int = 200
    ) -> HttpResponseBase:
        request.current_app = self.site.name
        every = {**self.site.each_context(request), **context}
        return TemplateResponse(request, f"{TEMPLATES}/{template}", every, status=status)

    def _wrapped(self, view: Any) -> Any:
        """Only for staff, and outside of ATOMIC_REQUESTS: a flush is its own transaction."""
        wrapped = self.site.admin_view(view)
        for alias in connections:
            wrapped = transaction.non_atomic_requests(using=alias)(wrapped)
        return wrapped


def _glance(request: HttpRequest, family: str | None = None) -> Glance:
    """What the user looks at."""
    return Glance(_range(request), family, may_read=may_read_payloads(request))


def _range(request: HttpRequest) -> str:
    """The range that is asked for; the usual one where there is no such range."""
    asked = request.GET.get("range", USUAL)
    return asked if asked in RANGES else USUAL
