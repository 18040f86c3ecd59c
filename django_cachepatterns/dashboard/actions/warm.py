"""Warm the rows of a model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django import forms
from django.apps import apps
from django.contrib import messages

from ...exceptions import CachePatternsError
from ...invalidation import registry
from ...warming import Warmed, warm
from ...warming.chosen import choose
from .action import Action, Said

USUAL, MOST = 1000, 20_000
"""Rows that one request warms. More is the work of the command `warm_cache`."""
FIRST, HOT = "first", "hot"
_WHICH = ((FIRST, "any rows"), (HOT, "those that were asked for most, by the sample of hot keys"))


def model_choices() -> list[tuple[str, str]]:
    """The models whose rows are cached."""
    models = sorted(registry.cached_models(), key=lambda model: model._meta.label)
    return [(model._meta.label_lower, model._meta.label) for model in models]


class WarmForm(forms.Form):
    """Which model, and how much of it."""

    name = forms.ChoiceField(label="Model", choices=model_choices)
    which = forms.ChoiceField(label="Rows", choices=_WHICH, initial=FIRST)
    limit = forms.IntegerField(
        label="How many",
        min_value=1,
        max_value=MOST,
        initial=USUAL,
        help_text=f"At most {MOST:,} at once. For more: manage.py warm_cache.",
    )

    def clean(self) -> dict[str, Any]:
        """Refuses a model that cannot be warmed, with the reason."""
        cleaned: dict[str, Any] = super().clean() or {}
        if "name" in cleaned:
            try:
                choose(apps.get_model(cleaned["name"]), hot=cleaned.get("which") == HOT)
            except CachePatternsError as error:
                self.add_error("name", str(error))
        return cleaned


def _will(given: dict[str, Any]) -> str:
    which = "of the hottest rows" if given["which"] == HOT else "rows"
    label = apps.get_model(given["name"])._meta.label
    return f"Load up to {given['limit']:,} {which} of {label} from the database into the cache."


def _do(given: dict[str, Any]) -> Iterator[Said]:
    model = apps.get_model(given["name"])
    done = warm(model, limit=given["limit"], hot=given["which"] == HOT)
    yield Said(messages.SUCCESS if done.error is None else messages.WARNING, _said(model, done))
    if done.error is not None:
        yield Said(messages.ERROR, f"It ended before its time: {done.error}")


def _said(model: Any, done: Warmed) -> str:
    total = done.total
    parts = [f"{total.filled:,} rows filled"]
    for number, said in (
        (total.valid, "were there already"),
        (total.busy, "were left to those who read or write them now"),
        (total.refused, "were written meanwhile"),
        (total.unfit, "are too large, or cannot be carried by the codec"),
    ):
        if number:
            parts.append(f"{number:,} {said}")
    return f"Warmed {model._meta.label}: {', '.join(parts)}, in {done.seconds:.1f} seconds."


WARM = Action(
    "warm",
    "Warm",
    "Warm",
    "Load rows into the cache ahead of their readers.",
    WarmForm,
    _will,
    _do,
)
