"""What the names of families stand for: which policy, and which model."""

from __future__ import annotations

from dataclasses import dataclass

from django.apps import apps
from django.db.models import Model

from ..cache_aside import cached_functions
from ..conf import unchecked_policy_of
from ..invalidation import registry
from ..metrics.families import OTHER
from ..policy import CachePolicy
from ..read_through import named_values
from ..write_behind import registry as buffers

LISTS = ":list"
FRAGMENT = "fragment "


@dataclass(frozen=True)
class Family:
    """What a name in the metrics stands for.

    Args:
        name: the name.
        kind: what its entries are, for people.
        policy: how they are cached; `None` where this process does not know.
        model: the model that they are of, if they are of one.
    """

    name: str
    kind: str
    policy: CachePolicy | None = None
    model: type[Model] | None = None

    @property
    def label(self) -> str:
        """The model's label, as Django spells it."""
        return self.model._meta.label if self.model is not None else ""

    @property
    def is_warmed(self) -> bool:
        """Whether its entries can be loaded ahead of their readers."""
        return self.model is not None and registry.is_cached(self.model) and self.kind == "rows"

    @property
    def is_many(self) -> bool:
        """Whether it is all those that are not counted by their names."""
        return self.name == OTHER


def family_of(name: str) -> Family:
    """What a name stands for, so far as this process knows."""
    label = name.removesuffix(LISTS)
    model = _model(label)
    if model is not None:
        kind = "lists" if name.endswith(LISTS) else "rows"
        return Family(name, kind, unchecked_policy_of(model), model)
    if name.startswith(FRAGMENT):
        return Family(name, "fragments")
    if name == OTHER:
        return Family(name, "all others, counted as one")
    owner = named_values().get(name) or cached_functions().get(name)
    if owner is not None:
        return Family(name, "values" if name in named_values() else "function", owner.policy)
    return Family(name, "values")


def declared() -> list[str]:
    """The names of the models whose rows are cached, read or not."""
    return [model._meta.label_lower for model in registry.cached_models()]


def buffer_names() -> set[str]:
    """The families that are write-behind buffers, of which no reads are counted; in lower case."""
    return {buffer.name.lower() for buffer in buffers.buffers()}


def _model(label: str) -> type[Model] | None:
    try:
        model = apps.get_model(label)
    except (LookupError, ValueError):
        return None
    return model if registry.targets_of(model) else None
