"""Foreign keys to a cached model are read through the cache, too.

Django follows a foreign key, and sets one to null when its target is deleted, through the related
model's base manager. That is a plain manager unless the model's Meta names another; a cached
model's is a cached one.
"""

from __future__ import annotations

from django.db.models import Model
from django.db.models.options import Options
from django.utils.functional import cached_property

from .managers import CachedManager


class CachedOptions(Options):
    """The options of a cached model.

    A subclass, because Django forgets its cached properties whenever a model is added.
    """

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


def use_cached_base_manager(model: type[Model]) -> None:
    """Make the base manager of a cached model a cached one, unless its Meta names another."""
    meta = model._meta
    if type(meta) is Options:
        meta.__class__ = CachedOptions
        meta.__dict__.pop("base_manager", None)
