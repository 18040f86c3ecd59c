"""Invalidate a key, a policy or a tag."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django import forms
from django.contrib import messages

from ... import conf, dropping, inspection
from ...exceptions import CachePatternsError
from ...inspection import names
from ...stores import store_of
from .action import SHOWN, Action, Said

KEY, POLICY, TAG = "key", "policy", "tag"
_WHAT = ((POLICY, "a policy: all its entries"), (TAG, "a tag"), (KEY, "one key"))
LONGEST = 4096


class InvalidateForm(forms.Form):
    """What, and which."""

    what = forms.ChoiceField(label="Invalidate", choices=_WHAT)
    name = forms.CharField(
        max_length=LONGEST,
        help_text="A policy such as shop.product, shop.product:list or the name of a function; "
        "a tag such as catalog; or a whole key.",
    )

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
    if what == KEY:
        return f"Drop the entry {given[SHOWN](name)}. The next reader loads it anew."
    if what == TAG:
        return f"Invalidate the tag {name}: everything that depends on it is loaded anew."
    return (
        f"Drop every entry of {name}, in every database and of every tenant. Until they are loaded "
        "anew, their reads go to the database."
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
    elif what == TAG:
        dropping.drop_tags(name)
        yield Said(messages.SUCCESS, f"Invalidated the tag {name}.")
    else:
        dropped = dropping.drop_entries(name)
        text = f"Invalidated {name}: {dropped.entries:,} entries dropped."
        yield Said(messages.SUCCESS, text)


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
