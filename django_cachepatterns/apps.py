"""The app: finds the cached models and starts to listen to their writes."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig, apps
from django.db.models import Model, signals


class CachePatternsConfig(AppConfig):
    """`django_cachepatterns` in INSTALLED_APPS."""

    name = "django_cachepatterns"
    verbose_name = "Cache patterns"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from . import checks  # noqa: F401 - registers itself
        from .invalidation import events, registry

        for model in apps.get_models():
            self._add(model)
        registry.rebuild()
        events.connect_all()
        signals.post_migrate.connect(
            events.after_migrate, dispatch_uid="django_cachepatterns.post_migrate", weak=False
        )
        signals.class_prepared.connect(
            self._prepared, dispatch_uid="django_cachepatterns.class_prepared", weak=False
        )

    def _prepared(self, sender: type[Model], **kwargs: Any) -> None:
        from .invalidation import events

        events.prepared(sender)
        self._add(sender)

    def _add(self, model: type[Model]) -> None:
        from .base_manager import use_cached_base_manager
        from .invalidation import registry

        if not model._meta.abstract and registry.is_cached(model):
            registry.add(model)
            use_cached_base_manager(model)
