"""What is wrong with write-behind buffers, and with where they are kept and flushed to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured
from django.db import router
from django.db.models import Model
from django.utils.module_loading import import_string

from .. import conf, fields
from ..exceptions import PolicyError
from ..stores import buffers_of
from ..write_behind import registry
from ..write_behind.buffer import Buffer
from ..write_behind.drafts.draft import Draft
from ..write_behind.records import LedgerEntry
from .errors import with_settings
from .policies import is_unique


@register(Tags.models)
@with_settings
def check_buffers(**kwargs: Any) -> Iterator[CheckMessage]:
    """The buffers of models, and those of modules that are imported by now."""
    every = registry.every()
    for buffer in every:
        yield from check_buffer(buffer)
    yield from check_columns(every)
    yield from check_where(registry.buffers())


def check_buffer(buffer: Buffer[Any]) -> Iterator[CheckMessage]:
    """What is wrong with one buffer by itself."""
    problems = buffer.problems()
    for problem in problems:
        yield _error(buffer, problem.code, problem.message, problem.hint)
    if problems:
        return
    yield from _followed_column_problems(buffer)
    alias = buffer.alias
    if not router.allow_migrate_model(alias, LedgerEntry):
        yield _error(
            buffer,
            "E055",
            f"it is flushed to database {alias!r}, where a router does not let the ledger be, "
            "without which nothing is applied.",
            f"Have allow_migrate() return True for the app django_cachepatterns in {alias!r}, and "
            f"run migrate --database {alias}.",
        )


def check_columns(buffers: Iterable[Buffer[Any]]) -> Iterator[CheckMessage]:
    """Columns that two of some buffers write."""
    owners: dict[tuple[str, str], Buffer[Any]] = {}
    for buffer in buffers:
        if isinstance(buffer, Draft):
            continue  # Its own problems say so.
        for name, field in _columns(buffer).items():
            owner = owners.setdefault((field.model._meta.db_table, field.column), buffer)
            if owner is not buffer:
                yield _error(
                    buffer,
                    "E052",
                    f"column {name!r} is written by two buffers: {owner.kind} {owner.name!r} and "
                    f"{buffer.kind} {buffer.name!r}. The live values of one leave out what waits "
                    "in the other.",
                    "Use one buffer for a column; declare it once.",
                )


def check_where(buffers: Iterable[Buffer[Any]]) -> Iterator[CheckMessage]:
    """Whether the cache that BUFFER_CACHE names can hold some buffers."""
    found = list(buffers)
    if not found:
        return
    try:
        unfit = unfit_cache()
    except (ImproperlyConfigured, ImportError, PolicyError, TypeError, ValueError) as error:
        hint = None if isinstance(error, PolicyError) else "Look at its entry in CACHES."
        yield Error(f"BUFFER_CACHE cannot be used: {error}", hint=hint, id="cachepatterns.E054")
        return
    if unfit is None:
        return
    for buffer in found:
        yield Error(
            f"Policy {buffer.name!r} is write-behind but cache {unfit[0]!r} ({unfit[1]}) cannot "
            "seal batches. Point BUFFER_CACHE at Redis or Valkey.",
            hint="Its entry in CACHES has the BACKEND django_redis.cache.RedisCache.",
            obj=_model(buffer),
            id="cachepatterns.E054",
        )


def unfit_cache() -> tuple[str, str] | None:
    """The alias and the class of the cache that BUFFER_CACHE names, if it cannot seal batches.

    Raises `PolicyError` and what the cache does, where it cannot be used at all.
    """
    from django_redis.cache import RedisCache

    config = conf.config()
    alias = config.values["BUFFER_CACHE"]
    backend = settings.CACHES.get(alias, {}).get("BACKEND")
    if backend is not None:
        # The class, not the cache: what that needs may not even be installed.
        kind = import_string(backend)
        if not issubclass(kind, RedisCache):
            return alias, kind.__name__
    buffers_of(config)
    return None


def _followed_column_problems(buffer: Buffer[Any]) -> Iterator[CheckMessage]:
    """Columns by whose values rows are found, where the buffer knows no values, only changes."""
    if isinstance(buffer, Draft):
        return
    for name, field in _columns(buffer).items():
        for model in _having(field):
            policy = conf.unchecked_policy_of(model)
            for what, names in (
                ("lookups", {each for group in policy.lookups for each in group}),
                ("indexes", set(policy.indexes)),
            ):
                if {field.name, field.attname} & names:
                    yield _error(
                        buffer,
                        "E053",
                        f"column {name!r} is in the {what} of {model._meta.label}. What a flush "
                        "makes of it is not known before, so cached rows would be found by values "
                        "that they do not have any more.",
                        f"Take it out of {what}, or use another column.",
                    )
        if is_unique(field.model, [field]):
            yield _error(
                buffer,
                "E053",
                f"column {name!r} is unique. Rows that come upon one value would be refused.",
                "Use a column that is not unique.",
            )


def _having(field: Any) -> Iterator[type[Model]]:
    """The models that a column is of: its own, and those that inherit it."""
    yield field.model
    for model in apps.get_models():
        if model is not field.model and field in model._meta.concrete_fields:
            yield model


def _columns(buffer: Buffer[Any]) -> dict[str, Any]:
    """The fields that a buffer writes, by name; none where its own problems say why."""
    try:
        found = [fields.column(buffer.model, name) for name in buffer.columns()]
    except (FieldDoesNotExist, LookupError, ValueError):
        return {}
    return {field.name: field for field in found}


def _model(buffer: Buffer[Any]) -> type[Model] | None:
    try:
        return buffer.model
    except (LookupError, ValueError):
        return None


def _error(buffer: Buffer[Any], code: str, message: str, hint: str) -> CheckMessage:
    return Error(
        f"{buffer.name}: {message}", hint=hint, obj=_model(buffer), id=f"cachepatterns.{code}"
    )
