"""The panel."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from debug_toolbar.panels import Panel
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from ... import hooks
from .recording import Recording

_recording: ContextVar[Recording | None] = ContextVar("cachepatterns_recording", default=None)
"""That of the request which this context belongs to: threads and tasks of others have others."""


class CachePatternsPanel(Panel):
    """Each cached read of this request: its keys, what became of them, its time, and the statement
    that was not needed because of it.

    What a thread reads that the view has started by itself is not in it, nor what a streaming
    response reads while it is sent.
    """

    is_async = True
    template = "django_cachepatterns/debug_toolbar/panel.html"
    title = _("Cached reads")
    nav_title = _("Cached reads")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._of_request = Recording()
        self._told = self._hear  # One object, to be found again.

    @property
    def nav_subtitle(self) -> str:
        """Reads, the share of keys that were served, and queries saved."""
        totals = self.get_stats()
        calls, saved = totals.get("calls", 0), totals.get("saved", 0)
        if not calls:
            return str(_("nothing was read"))
        return ", ".join(
            [
                ngettext("%(calls)d read", "%(calls)d reads", calls) % {"calls": calls},
                _("%(rate).0f %% hits") % {"rate": totals["hit_rate"] or 0},
                ngettext("%(saved)d query saved", "%(saved)d queries saved", saved)
                % {"saved": saved},
            ]
        )

    def enable_instrumentation(self) -> None:
        """Listen to the reads of this request."""
        _recording.set(self._of_request)
        hooks.remove("after_read", self._told)
        hooks.add("after_read", self._told)

    def disable_instrumentation(self) -> None:
        """Listen no more."""
        hooks.remove("after_read", self._told)
        _recording.set(None)

    def generate_stats(self, request: HttpRequest, response: HttpResponse) -> None:
        """Keep what was read."""
        self.record_stats({**self._of_request.totals(), "reads": self._of_request.reads})

    def generate_server_timing(self, request: HttpRequest, response: HttpResponse) -> None:
        """Tell the browser's developer tools how long it took."""
        totals = self.get_stats()
        title = f"Cached reads: {totals.get('calls', 0)}"
        self.record_server_timing("cached_reads", title, totals.get("milliseconds", 0))

    def _hear(self, read: hooks.Read) -> None:
        if _recording.get() is self._of_request:
            self._of_request.add(read)
