"""The options of cached and followed models: which managers Django gets when it asks for one.

Django follows a foreign key, and sets one to null when its target is deleted, through the related
model's base manager. That is a plain manager unless the model's Meta names another; a cached
model's is a cached one, and a followed model's managers are followed, all of them.
"""

from __future__ import annotations

from typing import Any

from django.db.models import Model
from django.db.models.options import Options
from django.utils.functional import cached_property

from .managers import CachedManager
from .tracked import follow, unfollow

# Subclasses, because Django forgets its cached properties whenever a model is added.


class CachedOptions(Options):
    """The options of a cached model."""

    @cached_property
    def base_manager(self) -> CachedManager:
        chosen = Options.base_manager.func(self)  # type: ignore[attr-defined]
        if not chosen.auto_created:
            return chosen
        manager: CachedManager = CachedManager()
        manager.name = "_base_manager"
        manager.model = self.model
        manager.auto_created = True
        return manager


class TrackedOptions(Options):
    """The options of a model that is not cached, and whose every write is followed.

    The managers here are the model's own copies, so that nothing changes for other models that
    inherit the same ones.
    """

    @cached_property
    def managers(self) -> Any:
        found = Options.managers.func(self)  # type: ignore[attr-defined]
        for manager in found:
            follow(manager)
        return found

    @cached_property
    def base_manager(self) -> Any:
        return follow(Options.base_manager.func(self))  # type: ignore[attr-defined]


def use_cached_base_manager(model: type[Model]) -> None:
    """Make the base manager of a cached model a cached one, unless its Meta names another."""
    meta = model._meta
    if isinstance(meta, TrackedOptions):
        leave_managers(model)
    if type(meta) is Options:
        meta.__class__ = CachedOptions
        meta.__dict__.pop("base_manager", None)


def follow_managers(model: type[Model]) -> None:
    """Have the writes through each of a model's managers followed."""
    meta = model._meta
    if type(meta) is Options:
        meta.__class__ = TrackedOptions
        # Those that somebody may hold already.
        for manager in (*meta.managers, meta.base_manager):
            follow(manager)


def leave_managers(model: type[Model]) -> None:
    """Take `follow_managers()` back."""
    meta = model._meta
    if isinstance(meta, TrackedOptions):
        held = (*meta.managers, meta.base_manager)
        meta.__class__ = Options  # type: ignore[assignment]
        for manager in held:
            unfollow(manager)
