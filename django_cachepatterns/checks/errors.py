"""How an error of a model is said, and what to do while the settings cannot be read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

from django.core.checks import CheckMessage, Error
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Model

from .. import conf

UNREADABLE = (ImproperlyConfigured, TypeError, ValueError)
"""What the settings raise where they cannot be read at all."""

_Check = Callable[..., Iterable[CheckMessage]]


def with_settings(check: _Check) -> _Check:
    """A check that says nothing while the settings cannot be read: that is `check_settings()`'s."""

    @wraps(check)
    def checked(*args: Any, **kwargs: Any) -> Iterable[CheckMessage]:
        try:
            conf.config()
        except UNREADABLE:
            return ()
        return check(*args, **kwargs)

    return checked


def error_of(model: type[Model], code: str, message: str, hint: str) -> CheckMessage:
    """An error of a model, by the suffix of its id."""
    return Error(
        f"{model._meta.label}: {message}", hint=hint, obj=model, id=f"cachepatterns.{code}"
    )
