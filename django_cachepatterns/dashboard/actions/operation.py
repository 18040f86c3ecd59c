"""A request for an action: its form, its confirmation, and doing it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.contrib.admin import AdminSite
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponseBase, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme, urlencode

from ... import conf
from ...exceptions import CachePatternsError, PolicyError, StoreUnavailable
from ...log_events import event
from ...log_events import shown as in_log
from ...permissions import APP
from ...stores import inspector_of
from ..access import may_read_payloads
from ..glance import BUFFERS, CACHE
from ..keys import key_shown
from .action import SHOWN, Action

logger = logging.getLogger("django_cachepatterns")
TEMPLATES = f"admin/{APP}/dashboard"


class Operation:
    """One request.

    Args:
        site: the admin site.
        request: GET asks, POST does.
        action: what.
    """

    def __init__(self, site: AdminSite, request: HttpRequest, action: Action) -> None:
        self.site, self.request, self.action = site, request, action
        request.current_app = site.name

    def response(self) -> HttpResponseBase:
        """The page that asks, the page that confirms, or the way back after it is done."""
        if self.request.method == "POST":
            return self._do()
        if self.request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
        asked = self.request.GET.dict()
        if "ask" in asked:  # A link that fills the form in, and has the user look at it.
            return self._ask(self.action.form(initial=asked))
        form = self.action.form(asked) if asked else self.action.form()
        return self._confirm(form) if form.is_bound and form.is_valid() else self._ask(form)

    def _do(self) -> HttpResponseBase:
        form = self.action.form(self.request.POST)
        if not form.is_valid():
            return self._ask(form)
        again: Mapping[str, Any] | None = None
        try:
            _reach(self.action.server)
            for said in self.action.do(self._given(form)):
                messages.add_message(self.request, said.level, said.text)
                again = said.again
        except (CachePatternsError, DatabaseError, InterfaceError) as error:
            text = f"{self.action.title} failed: {error}"
            messages.error(self.request, text)
        else:
            user = str(self.request.user)
            did = self.action.will({**form.cleaned_data, SHOWN: _in_log})
            did += " It is not finished." if again else ""
            logger.info(
                "%s did: %s", user, did, extra=event("dashboard_action", user=user, did=did)
            )
        return HttpResponseRedirect(self._back() if again is None else self._further(again))

    def _further(self, again: Mapping[str, Any]) -> str:
        """Where the user is asked whether to go on."""
        return f"{self.request.path}?{urlencode({**again, 'back': self._back()})}"

    def _ask(self, form: Any) -> HttpResponseBase:
        return self._page("ask.html", form=form)

    def _confirm(self, form: Any) -> HttpResponseBase:
        given = [(name, form.data.get(name, "")) for name in form.fields]
        return self._page("confirm.html", will=self.action.will(self._given(form)), given=given)

    def _given(self, form: Any) -> dict[str, Any]:
        """What an action is given: keys are told as this user may see them."""
        may_read = may_read_payloads(self.request)
        return {**form.cleaned_data, SHOWN: lambda key: key_shown(key, may_read)}

    def _page(self, template: str, **context: Any) -> HttpResponseBase:
        every = {
            **self.site.each_context(self.request),
            "title": self.action.title,
            "action": self.action,
            "back": self._back(),
            **context,
        }
        return TemplateResponse(self.request, f"{TEMPLATES}/{template}", every)

    def _back(self) -> str:
        """Where the user came from, if that is on this site."""
        asked = self.request.POST.get("back") or self.request.GET.get("back", "")
        hosts, secure = {self.request.get_host()}, self.request.is_secure()
        if asked and url_has_allowed_host_and_scheme(asked, hosts, require_https=secure):
            return asked
        return reverse(f"admin:{APP}_dashboard_changelist", current_app=self.site.name)


def _reach(server: str) -> None:
    """Raises `StoreUnavailable` where a server is away."""
    try:
        inspector_of(conf.config(), server).ping()
    except StoreUnavailable as error:
        raise StoreUnavailable(f"{_AWAY[server]} {error}") from error
    except PolicyError:
        pass  # There is none. An action that needs one says so.


_AWAY = {
    CACHE: "the cache server does not answer, so nothing was done.",
    BUFFERS: "the buffer server does not answer, so nothing was done.",
}


def _in_log(key: str) -> str:
    """A key as it is written to the log."""
    return in_log(key.encode("utf-8", "surrogateescape"))
