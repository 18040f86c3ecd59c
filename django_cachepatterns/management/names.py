"""What names on a command line mean."""

from __future__ import annotations

from collections.abc import Iterable

from django.apps import apps
from django.db.models import Model

from .reporting import usage


def models_of(name: str, among: Iterable[type[Model]]) -> list[type[Model]]:
    """A model by its label, or those of an app that are among some.

    Raises `CommandError` where there is none, which names those that there are.
    """
    known = list(among)
    if name.count(".") == 1:
        try:
            return [apps.get_model(name)]
        except LookupError as error:
            usage(f"There is no model {name!r}: {str(error).rstrip('.')}. {_known(known)}")
    found = [model for model in known if model._meta.app_label == name]
    if found:
        return found
    if name in apps.app_configs:
        usage(f"The app {name!r} has no such model. {_known(known)}")
    return usage(f"{name!r} is neither a model such as shop.Product nor an app. {_known(known)}")


def _known(models: Iterable[type[Model]]) -> str:
    labels = sorted(model._meta.label for model in models)
    return f"Cached models: {', '.join(labels) or 'none'}."
