"""What is wrong with models that are cached or followed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import AppConfig, apps
from django.core.checks import CheckMessage, Tags, Warning, register
from django.db import models
from django.db.models import Model, QuerySet

from .. import conf, fields
from ..invalidation import registry
from ..models import CachedModel
from ..policy import CachePolicy
from ..tracked import TrackedQuerySet, is_followed
from .errors import error_of, with_settings
from .policies import check_policy


@register(Tags.models)
@with_settings
def check_models(
    app_configs: Sequence[AppConfig] | None = None, **kwargs: Any
) -> Iterator[CheckMessage]:
    """The policies against the models that they are of."""
    labels = None if app_configs is None else {app.label for app in app_configs}
    for model in registry.tracked_models():
        if model._meta.auto_created:
            continue
        if labels is None or model._meta.app_label in labels:
            yield from check_model(model)
    for model in apps.get_models():
        if issubclass(model, CachedModel) and not registry.is_cached(model):
            yield Warning(
                f"{model._meta.label} is a CachedModel, but none of its managers is a "
                "CachedManager, so nothing is cached.",
                hint="Derive its manager from CachedManager, or leave the mixin out.",
                obj=model,
                id="cachepatterns.W003",
            )


def check_model(model: type[Model]) -> Iterator[CheckMessage]:
    """What is wrong with one model that is cached or followed."""
    if not isinstance(getattr(model, "cache_policy", CachePolicy()), CachePolicy):
        yield error_of(
            model,
            "E008",
            f"cache_policy is a {type(model.cache_policy).__name__}.",  # type: ignore[attr-defined]
            "Use CachePolicy(...) from django_cachepatterns.",
        )
        return
    policy = conf.unchecked_policy_of(model)
    yield from check_policy(model, policy)
    yield from _manager_problems(model)
    yield from _relation_problems(model)
    if not fields.is_cacheable(model):
        yield Warning(
            f"{model._meta.label}: its rows are not cached. Their key is composite, or of a kind "
            "whose values the database may change, or not that of the model's parents.",
            hint="Reads go to the database. Use an integer, text, UUID or date as primary key.",
            obj=model,
            id="cachepatterns.W001",
        )


def _manager_problems(model: type[Model]) -> Iterator[CheckMessage]:
    for manager in [*model._meta.managers, model._base_manager]:
        if not _follows(manager):
            yield Warning(
                f"{model._meta.label}: manager {manager.name!r} is not a CachedManager, so its "
                "update(), bulk_create() and bulk_update() leave old entries behind.",
                hint="Derive it from CachedManager, or its queryset from CachedQuerySet.",
                obj=model,
                id="cachepatterns.W002",
            )


def _follows(manager: Any) -> bool:
    return is_followed(manager) or issubclass(
        getattr(manager, "_queryset_class", QuerySet), TrackedQuerySet
    )


def _relation_problems(model: type[Model]) -> Iterator[CheckMessage]:
    for field in model._meta.concrete_fields:
        on_delete = getattr(field.remote_field, "on_delete", None)
        usual = (models.CASCADE, models.PROTECT, models.RESTRICT, models.DO_NOTHING, None)
        own = on_delete not in usual and not getattr(on_delete, "lazy_sub_objs", False)
        if type(on_delete).__name__ == "DatabaseOnDelete" or own:
            yield error_of(
                model,
                "E014",
                f"field {field.name!r} has an on_delete of the database's or a function's own, "
                "so nothing tells the cache of the rows that it changes.",
                "Use models.CASCADE, SET_NULL or SET_DEFAULT.",
            )
