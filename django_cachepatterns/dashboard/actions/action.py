"""One action."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from django import forms

from ..glance import CACHE

SHOWN = "shown"
"""The name of that."""


class Said(NamedTuple):
    """What an action says it did.

    Args:
        level: one of `django.contrib.messages`.
        text: the words. Django's admin shows them with a capital letter, so no name comes first.
        again: what its form is to be given to go on, where there was no time for all of it.
    """

    level: int
    text: str
    again: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Action:
    """Something that can be done.

    Args:
        name: a short name; part of the address.
        title: what it is called.
        button: what the button says that does it.
        help: what it is for.
        form: asks what to do it with.
        will: says what will happen, of the form's cleaned data.
        do: does it, and says what was done. It may raise `CachePatternsError`.
        server: the setting that names the server it needs. Where that is away nothing is tried, for
            each step would take a timeout.

    Both are given the form's cleaned data, and `SHOWN`: what tells a key as the reader may see it.
    """

    name: str
    title: str
    button: str
    help: str
    form: type[forms.Form]
    will: Callable[[dict[str, Any]], str]
    do: Callable[[dict[str, Any]], Iterable[Said]]
    server: str = CACHE
