"""How an error of a model is said."""

from __future__ import annotations

from django.core.checks import CheckMessage, Error
from django.db.models import Model


def error_of(model: type[Model], code: str, message: str, hint: str) -> CheckMessage:
    """An error of a model, by the suffix of its id."""
    return Error(
        f"{model._meta.label}: {message}", hint=hint, obj=model, id=f"cachepatterns.{code}"
    )
