"""Which models are cached, and which entries a write to a model touches.

A row of a multi-table child holds its parents' columns, so a write to a parent touches the
child's entry, and a write to the child those of its parents. Proxies share their model's entries.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.apps import apps
from django.db.models import Model
from django.utils.functional import cached_property


@dataclass(frozen=True)
class Target:
    """A cached model whose entries a write to another (or itself) touches.

    Args:
        model: the cached model.
        written: the model that is written.
    """

    model: type[Model]
    written: type[Model]
    label: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "label", self.model._meta.label_lower)

    def primary_keys(self, pks: Sequence[Any], alias: str) -> Sequence[Any]:
        """The primary keys of this model's rows that hold columns of written rows.

        Args:
            pks: the primary keys of the written rows.
            alias: the database, asked where a child's key is not its parent's.
        """
        if self.odd_link is None:
            return pks
        rows = self.model._base_manager.using(alias).filter(**{f"{self.odd_link}__in": pks})
        return list(rows.values_list("pk", flat=True))

    @cached_property
    def odd_link(self) -> str | None:
        """The lookup from a child to the written parent, where it is not by primary keys."""
        if self.model is self.written or self.written not in self.model._meta.all_parents:
            return None
        path = self.model._meta.get_path_to_parent(self.written)
        if all(step.join_field.primary_key for step in path):
            return None
        return "__".join([*(step.join_field.name for step in path), "pk"])


_targets: dict[str, list[Target]] = {}
_generation = 0
_cached: dict[str, type[Model]] = {}


def is_cached(model: type[Model]) -> bool:
    """Whether one of a model's managers reads through the cache."""
    return any(
        getattr(getattr(manager, "_queryset_class", None), "reads_through", False)
        for manager in model._meta.managers
    )


def cached_models() -> list[type[Model]]:
    """Every cached model, without its proxies."""
    return list(_cached.values())


def targets_of(model: type[Model]) -> list[Target]:
    """What a write to a model touches. Models in migrations are known by their label."""
    concrete = model._meta.concrete_model or model
    return _targets.get(concrete._meta.label_lower, [])


def generation() -> int:
    """Changes whenever what `targets_of` says may have changed."""
    return _generation


def add(model: type[Model]) -> None:
    """Take note of a model, if it is cached."""
    meta = model._meta
    if meta.abstract or meta.swapped or model.__module__ == "__fake__" or not is_cached(model):
        return
    concrete = meta.concrete_model or model
    label = concrete._meta.label_lower
    if _cached.get(label) is concrete:
        return
    _cached[label] = concrete
    rebuild()


def rebuild() -> None:
    """Work out the targets from the models that are cached."""
    global _generation
    _generation += 1
    _targets.clear()
    for model in _cached.values():
        for written in _whose_write_touches(model):
            targets = _targets.setdefault(written._meta.label_lower, [])
            targets.append(Target(model, written))


def _whose_write_touches(model: type[Model]) -> Iterator[type[Model]]:
    yield model
    for parent in model._meta.all_parents:
        if parent._meta.concrete_model is parent:
            yield parent
    family = {model, *model._meta.all_parents}
    for other in apps.get_models():
        if (
            other._meta.concrete_model is other
            and other not in family
            and not family.isdisjoint(other._meta.all_parents)
        ):
            yield other  # A child, or one of the same parent: they share its row.


def written_models() -> Iterator[type[Model]]:
    """Every model, and every proxy of one, whose writes touch an entry."""
    for model in apps.get_models():
        if targets_of(model):
            yield model
