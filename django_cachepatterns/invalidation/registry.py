"""Which models are cached or followed, and which entries a write to a model touches.

A row of a multi-table child holds its parents' columns, so a write to a parent touches the
child's entry, and a write to the child those of its parents. Proxies share their model's entries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

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


class Link(NamedTuple):
    """One end of a many-to-many table that Django has made."""

    through: type[Model]
    field: str
    end: type[Model]


row_readers: list[Callable[[type[Model], str], Any]] = []
"""Give the reader of a model's rows in a database, or `None`. The ORM layer puts its own in."""

_targets: dict[str, list[Target]] = {}
_links: dict[str, list[Link]] = {}
_generation = 0
_cached: dict[str, type[Model]] = {}
_named: dict[str, type[Model]] = {}
_tracked: dict[str, type[Model]] = {}


def row_reader(model: type[Model], alias: str) -> Any:
    """The reader of a model's rows in the database that was written; `None` where there is none."""
    return next((made for each in row_readers if (made := each(model, alias)) is not None), None)


def is_cached(model: type[Model]) -> bool:
    """Whether one of a model's managers reads through the cache."""
    return any(
        getattr(getattr(manager, "_queryset_class", None), "reads_through", False)
        for manager in model._meta.managers
    )


def cached_models() -> list[type[Model]]:
    """Every model with a manager that reads through the cache, without its proxies."""
    return list(_cached.values())


def is_tracked(model: type[Model]) -> bool:
    """Whether every write of a model is followed, so that cached results may depend on it.

    That is so for cached models, for those that the settings name, and for the many-to-many
    tables that Django has made for one of these. A proxy is as its model is.
    """
    concrete = model._meta.concrete_model or model
    return _tracked.get(concrete._meta.label_lower) is concrete


def tracked_models() -> list[type[Model]]:
    """Every model whose writes are followed, without its proxies."""
    return list(_tracked.values())


def targets_of(model: type[Model]) -> list[Target]:
    """What a write to a model touches. Models in migrations are known by their label."""
    concrete = model._meta.concrete_model or model
    return _targets.get(concrete._meta.label_lower, [])


def links_to(model: type[Model]) -> list[Link]:
    """The followed many-to-many tables whose rows go when a row of a model is deleted."""
    concrete = model._meta.concrete_model or model
    return _links.get(concrete._meta.label_lower, [])


def generation() -> int:
    """Changes whenever what `targets_of` says may have changed."""
    return _generation


def add(model: type[Model]) -> bool:
    """Take note of a model, if it is cached. `rebuild()` when all are in; says whether to."""
    meta = model._meta
    if meta.abstract or meta.swapped or model.__module__ == "__fake__" or not is_cached(model):
        return False
    concrete = meta.concrete_model or model
    label = concrete._meta.label_lower
    if _cached.get(label) is concrete:
        return False
    _cached[label] = concrete
    return True


def name(models: Iterable[type[Model]]) -> None:
    """Say which models are followed besides the cached ones. `rebuild()` afterwards."""
    global _named
    concrete = [model._meta.concrete_model or model for model in models]
    _named = {model._meta.label_lower: model for model in concrete}


def rebuild() -> None:
    """Work out the targets from the models that are cached and named."""
    global _generation, _links, _targets, _tracked
    tracked = {**_named, **_cached}
    links: dict[str, list[Link]] = {}
    for link in _links_of(tracked.values()):
        tracked[link.through._meta.label_lower] = link.through
        links.setdefault(link.end._meta.label_lower, []).append(link)
    targets: dict[str, list[Target]] = {}
    for model in tracked.values():
        for written in _whose_write_touches(model):
            targets.setdefault(written._meta.label_lower, []).append(Target(model, written))
    # Each at once, for threads that write meanwhile.
    _targets, _links, _tracked = targets, links, tracked
    _generation += 1


def _links_of(models: Iterable[type[Model]]) -> Iterator[Link]:
    """Both ends of each many-to-many table of Django's own that has one end in the models."""
    ends = {end for model in models for end in (model, *model._meta.all_parents)}
    for through in apps.get_models(include_auto_created=True):
        if not through._meta.auto_created:
            continue
        links = [
            Link(through, field.name, field.related_model._meta.concrete_model or through)
            for field in through._meta.concrete_fields
            if isinstance(field.related_model, type)
        ]
        if any(link.end in ends for link in links):
            yield from links


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
    for model in apps.get_models(include_auto_created=True):
        if targets_of(model):
            yield model
