"""What is to be audited, by its name."""

from __future__ import annotations

from collections.abc import Iterable

from django.apps import apps
from django.db.models import Model

from .. import keys
from ..exceptions import PolicyError
from ..invalidation import registry
from ..read_through import named_values

Target = type[Model] | str


def labels_of(targets: Iterable[Target]) -> frozenset[str]:
    """What the keys of models and values have as their label.

    Args:
        targets: models or labels of them, labels of apps, names of values.

    Raises `PolicyError` for anything else, and for what cannot be compared with a database.
    """
    found: set[str] = set()
    for target in targets:
        found |= _labels(target)
    return frozenset(found)


def names() -> list[str]:
    """What there is to audit, as far as this process knows it."""
    models = sorted(model._meta.label for model in registry.tracked_models())
    return [*models, *sorted(named_values())]


def _labels(target: Target) -> set[str]:
    label = target if isinstance(target, str) else target._meta.label
    if label in named_values():
        return {keys.part(label)}
    tracked = {model._meta.label_lower: model for model in registry.tracked_models()}
    if label in apps.app_configs:
        own = {lower for lower, model in tracked.items() if model._meta.app_label == label}
        if own:
            return own
    try:
        model = apps.get_model(label)
        label = (model._meta.concrete_model or model)._meta.label
    except (LookupError, ValueError):
        pass
    if label.lower() in tracked:
        return {label.lower()}
    raise PolicyError(
        f"{label!r} cannot be audited: it is no cached or followed model, nor the name of values. "
        f"There are: {', '.join(names()) or 'none'}."
    )
