"""Dead letters in the admin: to be read, retried, and discarded."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import quote
from django.contrib.auth import get_permission_codename
from django.db import DatabaseError, InterfaceError
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.text import Truncator

from ..exceptions import CachePatternsError
from ..write_behind import registry
from ..write_behind.dead_letters import Outcome, retry
from ..write_behind.records import DeadLetter
from .databases import DatabaseFilter, InDatabases

TOLD = 10
"""Refusals that are told one by one."""
SHORT = 100
"""Characters of a text in the list."""

_SAID = {
    Outcome.WRITTEN: (messages.SUCCESS, "Written to the database: {}."),
    Outcome.DROPPED: (messages.WARNING, "Dropped, because their rows are not there any more: {}."),
    Outcome.GONE: (messages.INFO, "Retried, discarded or changed by somebody else meanwhile: {}."),
    Outcome.REFUSED: (messages.ERROR, "Refused again: {}. They stay here, with the reason."),
}


@admin.register(DeadLetter)
class DeadLetterAdmin(InDatabases):
    """Changes that the database has refused. Who may change them may retry them."""

    list_filter = (("buffer", admin.AllValuesFieldListFilter), DatabaseFilter)
    search_fields = ("buffer", "member", "reason")
    ordering = ("-refused_at", "-pk")
    actions = ("retry",)
    fields = ("buffer", "row", "change", "reason", "refused_at", "attempts", "batch")

    def get_list_display(self, request: HttpRequest) -> Any:
        models = _models()

        @admin.display(description="row", ordering="member")
        def row(letter: DeadLetter) -> str:
            return self._link(letter, models)

        return ("buffer", row, _change_in_short, _reason_in_short, "refused_at", "attempts")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fields

    @admin.display(description="row")
    def row(self, letter: DeadLetter) -> str:
        """The row that the change is of: its primary key."""
        return self._link(letter, _models())

    @admin.display(description="change")
    def change(self, letter: DeadLetter) -> str:
        """What was to be written."""
        return format_html("<pre>{}</pre>", readable(letter.payload))

    @admin.action(description="Retry selected changes", permissions=["retry"])
    def retry(self, request: HttpRequest, queryset: QuerySet[DeadLetter]) -> None:
        """Write changes once more, and say what became of them."""
        counts: Counter[Outcome] = Counter()
        refused = []
        for letter in queryset.order_by("pk"):
            try:
                outcome, reason = retry(letter)
            except (CachePatternsError, DatabaseError, InterfaceError) as error:
                outcome, reason = Outcome.REFUSED, f"{type(error).__name__}: {error}"
            counts[outcome] += 1
            if outcome is Outcome.REFUSED:
                # Django has each message begin with a capital.
                refused.append(f"Refused: {letter}: {reason}")
        for outcome, number in counts.items():
            level, text = _SAID[outcome]
            self.message_user(request, text.format(number), level)
        for text in refused[:TOLD]:
            self.message_user(request, text, messages.ERROR)

    def has_retry_permission(self, request: HttpRequest) -> bool:
        """Whether the user may change letters, which nobody can in another way."""
        codename = get_permission_codename("change", self.opts)
        return request.user.has_perm(f"{self.opts.app_label}.{codename}")

    def _link(self, letter: DeadLetter, models: Mapping[str, type[Model]]) -> str:
        """The row's primary key, as a link to the row's page where there is one."""
        model = models.get(letter.buffer)
        if model is None or not self.admin_site.is_registered(model):
            return letter.member
        meta = model._meta
        name = f"{self.admin_site.name}:{meta.app_label}_{meta.model_name}_change"
        return format_html(
            '<a href="{}">{}</a>', reverse(name, args=[quote(letter.member)]), letter.member
        )


def readable(payload: str) -> str:
    """What was to be written, for people: a sign before a number, the values of a draft without
    the moments at which they were saved, data in lines of their own.
    """
    try:
        found = json.loads(payload)
    except ValueError:
        return payload
    if isinstance(found, int) and not isinstance(found, bool):
        return f"{found:+d}"
    if isinstance(found, dict) and all(map(_is_saved, found.values())):
        found = {name: each.get("json", each.get("value")) for name, each in found.items()}
    return json.dumps(found, indent=2, ensure_ascii=False)


def _is_saved(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() in ({"at", "json"}, {"at", "value"})


def _models() -> dict[str, type[Model]]:
    return {buffer.name: buffer.model for buffer in registry.buffers()}


@admin.display(description="change")
def _change_in_short(letter: DeadLetter) -> str:
    return Truncator(" ".join(readable(letter.payload).split())).chars(SHORT)


@admin.display(description="reason", ordering="reason")
def _reason_in_short(letter: DeadLetter) -> str:
    return Truncator(letter.reason).chars(SHORT)
