"""System checks: what is wrong with settings and policies, said before traffic."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.apps import AppConfig, apps
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured
from django.db import connections, models, router
from django.db.models import Field, Model, QuerySet, UniqueConstraint

from . import conf, fields
from .codecs import codec_for
from .exceptions import PolicyError
from .invalidation import registry, versions
from .models import CachedModel
from .orm.columns import kind_of
from .policy import CachePolicy
from .stores import store_of
from .tracked import TrackedQuerySet, is_followed
from .values import dependency_problems


@register(Tags.caches)
def check_settings(**kwargs: Any) -> Iterator[CheckMessage]:
    """The `CACHEPATTERNS` setting by itself."""
    try:
        config = conf.config()
    except (ImproperlyConfigured, TypeError, ValueError) as error:
        yield Error(f"CACHEPATTERNS: {error}", id="cachepatterns.E020")
        return
    for name in sorted(set(config.raw) - set(conf.DEFAULTS), key=str):
        yield Error(
            f"CACHEPATTERNS has an unknown key {name!r}.",
            hint=f"Use one of: {', '.join(conf.DEFAULTS)}.",
            id="cachepatterns.E021",
        )
    for name in ("TIMEOUT", "MARK_TTL"):
        value = config.values[name]
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not 0.001 <= value < 1e9
        ):
            yield Error(
                f"CACHEPATTERNS[{name!r}] is {value!r}; it must be a positive number of seconds.",
                hint=f"Leave it out to get {conf.DEFAULTS[name]}.",
                id="cachepatterns.E022",
            )
    prefix = config.values["KEY_PREFIX"]
    if not isinstance(prefix, str) or not prefix:
        yield Error(
            f"CACHEPATTERNS['KEY_PREFIX'] is {prefix!r}; it must be a text of its own.",
            hint="Leave it out to get 'cp'.",
            id="cachepatterns.E023",
        )
    yield from _store_problems(config)
    yield from _policies_problems(config)


def _store_problems(config: conf.Config) -> Iterator[CheckMessage]:
    try:
        store_of(config)
    except PolicyError as error:
        yield Error(f"{error}", id="cachepatterns.E024")
    except (ImproperlyConfigured, ImportError, TypeError, ValueError) as error:
        yield Error(
            f"Cache {config.values['CACHE']!r} cannot be used: {error}",
            hint="Look at its entry in CACHES.",
            id="cachepatterns.E024",
        )


def _policies_problems(config: conf.Config) -> Iterator[CheckMessage]:
    policies = config.values["POLICIES"]
    if not isinstance(policies, dict) or not all(
        isinstance(each, dict) for each in policies.values()
    ):
        yield Error(
            f"CACHEPATTERNS['POLICIES'] is {policies!r}, which is no dict of dicts.",
            hint="Use {'app_label.Model': {'ttl': 60}}.",
            id="cachepatterns.E025",
        )
        return
    known = {"*"}
    for app in apps.get_app_configs():
        known.add(f"{app.label}.*".lower())
        known.update(model._meta.label_lower for model in app.get_models())
    for name in config.values["POLICIES"]:
        if str(name).lower() not in known:
            yield Error(
                f"CACHEPATTERNS['POLICIES'] names {name!r}, which is no model.",
                hint="Use 'app_label.Model', 'app_label.*' or '*'.",
                id="cachepatterns.E025",
            )


@register(Tags.models)
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


@register(Tags.caches)
def check_dependencies(**kwargs: Any) -> Iterator[CheckMessage]:
    """The models that functions and values depend on, as far as their modules are imported."""
    for problem in dependency_problems():
        yield Error(problem, id="cachepatterns.E036")


def check_model(model: type[Model]) -> Iterator[CheckMessage]:
    """What is wrong with one model that is cached or followed."""
    if not isinstance(getattr(model, "cache_policy", CachePolicy()), CachePolicy):
        yield _error(
            model,
            "E008",
            f"cache_policy is a {type(model.cache_policy).__name__}.",  # type: ignore[attr-defined]
            "Use CachePolicy(...) from django_cachepatterns.",
        )
        return
    policy = conf.unchecked_policy_of(model)
    for problem in policy.problems():
        yield _error(model, problem.code, problem.message, problem.hint)
    yield from _codec_problems(model, policy)
    yield from _lookup_problems(model, policy)
    yield from _index_problems(model, policy)
    yield from _column_problems(model, policy)
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


def _codec_problems(model: type[Model], policy: CachePolicy) -> Iterator[CheckMessage]:
    try:
        codec_for(policy.codec, [])
    except Exception as error:  # noqa: BLE001 - a codec of the user's may raise anything
        yield _error(
            model,
            "E009",
            f"codec {policy.codec!r} cannot be made: {error}.",
            "Use 'msgpack', 'json', or the dotted path of a callable that takes the columns.",
        )


def _lookup_problems(model: type[Model], policy: CachePolicy) -> Iterator[CheckMessage]:
    for names in policy.lookups:
        shown = names[0] if len(names) == 1 else names
        fields = []
        for name in names:
            field = _field(model, name)
            if field is None:
                yield _error(
                    model,
                    "E010",
                    f"lookup {shown!r} names {name!r}, which is no column of the model.",
                    f"Use one of: {', '.join(_names(model))}.",
                )
                break
            fields.append(field)
        else:
            if not _is_unique(model, fields):
                yield _error(
                    model,
                    "E011",
                    f"lookup {shown!r} is not unique, so it does not lead to one row.",
                    "Add unique=True or a UniqueConstraint without a condition, or take it out "
                    "of lookups.",
                )


def _index_problems(model: type[Model], policy: CachePolicy) -> Iterator[CheckMessage]:
    for name in policy.indexes:
        if _field(model, name) is None:
            yield _error(
                model,
                "E012",
                f"index {name!r} is no column of the model.",
                f"Use one of: {', '.join(_names(model))}.",
            )
        elif not _is_index(model, name):
            yield Warning(
                f"{model._meta.label}: index {name!r} narrows nothing: a parent's column, one "
                "that the database computes, or of a kind whose values it may change.",
                hint="Leave it out, or use a column of the model's own with integers, texts, "
                "dates, UUIDs or a foreign key to such.",
                obj=model,
                id="cachepatterns.W004",
            )


def _is_index(model: type[Model], name: str) -> bool:
    field = _field(model, name)
    return field in versions.indexes_of(model)


def _column_problems(model: type[Model], policy: CachePolicy) -> Iterator[CheckMessage]:
    if policy.pattern == "cache_aside":
        return  # Its rows are not carried.
    alias = router.db_for_write(model)
    for field in model._meta.concrete_fields:
        if kind_of(field, connections[alias]) is None:
            yield _error(
                model,
                "E013",
                f"field {field.name!r} has the column type "
                f"{field.db_type(connections[alias])!r}, which the cache cannot carry.",
                "Say what psycopg gives for it with "
                "django_cachepatterns.orm.columns.register_column_type(), or leave the model "
                "uncached with pattern='cache_aside'.",
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
            yield _error(
                model,
                "E014",
                f"field {field.name!r} has an on_delete of the database's or a function's own, "
                "so nothing tells the cache of the rows that it changes.",
                "Use models.CASCADE, SET_NULL or SET_DEFAULT.",
            )


def _is_unique(model: type[Model], fields: Iterable[Field[Any, Any]]) -> bool:
    wanted = {field.name for field in fields}
    meta = model._meta
    if any(field.unique and {field.name} <= wanted for field in meta.concrete_fields):
        return True
    groups = [set(names) for names in meta.unique_together]
    groups += [
        set(constraint.fields)
        for constraint in meta.constraints
        if isinstance(constraint, UniqueConstraint)
        and constraint.fields
        and constraint.condition is None
        and constraint.deferrable is None
    ]
    return any(group <= wanted for group in groups)


def _field(model: type[Model], name: str) -> Field[Any, Any] | None:
    try:
        field = model._meta.get_field(name)
    except FieldDoesNotExist:
        return None
    return field if getattr(field, "concrete", False) and not field.many_to_many else None  # type: ignore[return-value]


def _names(model: type[Model]) -> list[str]:
    return [field.name for field in model._meta.concrete_fields]


def _error(model: type[Model], code: str, message: str, hint: str) -> CheckMessage:
    return Error(
        f"{model._meta.label}: {message}", hint=hint, obj=model, id=f"cachepatterns.{code}"
    )
