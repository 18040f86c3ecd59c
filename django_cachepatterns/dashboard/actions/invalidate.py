"""Invalidate a key, a policy or a tag."""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote
from typing import Any

from django import forms
from django.contrib import messages

from ... import conf, dropping, inspection
from ...exceptions import CachePatternsError
from ...inspection import names
from ...stores import store_of
from ...transactions import noting
from .action import SHOWN, Action, Said
from .versions import tags_of, tags_of_tag

KEY, POLICY, TAG = "key", "policy", "tag"
_WHAT = ((POLICY, "a policy: all its entries"), (TAG, "a tag"), (KEY, "one key"))
LONGEST = 4096
SECONDS = 5.0
"""What one request may take for dropping: web servers end those that take long."""


class InvalidateForm(forms.Form):
    """What, and which."""

    what = forms.ChoiceField(label="Invalidate", choices=_WHAT)
    name = forms.CharField(
        max_length=LONGEST,
        help_text="A policy such as shop.product, shop.product:list or the name of a function; "
        "a tag such as catalog; or a whole key.",
    )
    at = forms.RegexField(r"^[0-9]{1,20}$", required=False, widget=forms.HiddenInput)
    """Where an earlier request has ended that could not look through all keys in its time."""

    def clean(self) -> dict[str, Any]:
        """Refuses what is not there to be invalidated."""
        cleaned: dict[str, Any] = super().clean() or {}
        what, name = cleaned.get("what"), cleaned.get("name")
        if name and what == KEY:
            self._check_key(name)
        elif name and what == POLICY:
            self._check_policy(name)
        return cleaned

    def _check_key(self, key: str) -> None:
        try:
            described = inspection.describe(key)
        except CachePatternsError as error:
            self.add_error("name", str(error))
            return
        if described.kind not in names.ENTRIES | names.TAGS:
            self.add_error(
                "name",
                f"{key} is no entry and no tag: it holds {described.kind}, which would be lost. "
                "Write-behind buffers are emptied by flushing them.",
            )

    def _check_policy(self, name: str) -> None:
        try:
            dropping.check(name)
        except CachePatternsError as error:
            self.add_error("name", str(error))


def _will(given: dict[str, Any]) -> str:
    what, name = given["what"], given["name"]
    go_on = "Go on where it has stopped. " if given["at"] else ""
    if what == KEY:
        return f"Drop the entry {given[SHOWN](name)}. The next reader loads it anew."
    if what == TAG:
        return f"{go_on}Invalidate the tag {name}: everything that depends on it is loaded anew."
    return (
        f"{go_on}Drop every entry of {name}, in every database and of every tenant. Until they are "
        "loaded anew, their reads go to the database."
    )


def _do(given: dict[str, Any]) -> Iterator[Said]:
    what, name = given["what"], given["name"]
    if what == KEY:
        # What `invalidate()` does with a key, but for its silence where the server is down.
        number = store_of(conf.config()).drop([name.encode("utf-8", "surrogateescape")])
        shown = given[SHOWN](name)
        yield Said(
            messages.SUCCESS,
            f"Invalidated the key {shown}." if number else f"The key {shown} was gone already.",
        )
    elif tags := tags_of_tag(name) if what == TAG else tags_of(name):
        store_of(conf.config()).drop(tags)
        noting.invalidated(tags, "invalidate")
        yield Said(messages.SUCCESS, _AT_ONCE[what].format(name))
    else:
        yield _drop_part(what, name, int(given["at"] or 0))


_AT_ONCE = {
    TAG: "Invalidated the tag {}.",
    POLICY: "Invalidated {}: no reader is served what it held. That leaves memory when its ttl is "
    "over.",
}


def _drop_part(what: str, name: str, at: int) -> Said:
    """As much as there is time for. A later request goes on where this one ends."""
    is_tag = what == TAG
    part = dropping.drop_part(name, SECONDS, at, is_tag)
    dropped = f"{part.entries:,} {'more ' if at else ''}{_entries(part.entries)} dropped"
    if part.at is None:
        done = f"Invalidated {name}: {dropped}."
        return Said(messages.SUCCESS, _AT_ONCE[TAG].format(name) if is_tag else done)
    command = f"manage.py flush_cache {'--tag ' if is_tag else ''}{quote(name)}"
    text = (
        f"Invalidated a part of {name}: in {SECONDS:g} seconds about {part.share:.0%} of the "
        f"server's keys were looked through, and {dropped}. The rest "
        f"is still served. Go on below, or run {command}, which takes all the time it needs."
    )
    return Said(messages.WARNING, text, {"what": what, "name": name, "at": part.at})


def _entries(number: int) -> str:
    return "entry" if number == 1 else "entries"


INVALIDATE = Action(
    "invalidate",
    "Invalidate",
    "Invalidate",
    "Have entries loaded anew: after something was written around Django, or for a look at what "
    "a cold cache does.",
    InvalidateForm,
    _will,
    _do,
)
