"""What is wrong with a policy, against the model that it is of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.core.checks import CheckMessage, Warning
from django.core.exceptions import FieldDoesNotExist
from django.db import connections, router
from django.db.models import Field, Model, UniqueConstraint

from ..codecs import codec_for
from ..invalidation import versions
from ..orm.columns import kind_of
from ..policy import CachePolicy
from .errors import error_of


def check_policy(model: type[Model], policy: CachePolicy) -> Iterator[CheckMessage]:
    """What is wrong with a model's policy."""
    for problem in policy.problems():
        yield error_of(model, problem.code, problem.message, problem.hint)
    yield from _codec_problems(model, policy)
    yield from _lookup_problems(model, policy)
    yield from _index_problems(model, policy)
    yield from _column_problems(model, policy)


def _codec_problems(model: type[Model], policy: CachePolicy) -> Iterator[CheckMessage]:
    try:
        codec_for(policy.codec, [])
    except Exception as error:  # noqa: BLE001 - a codec of the user's may raise anything
        yield error_of(
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
                yield error_of(
                    model,
                    "E010",
                    f"lookup {shown!r} names {name!r}, which is no column of the model.",
                    f"Use one of: {', '.join(_names(model))}.",
                )
                break
            fields.append(field)
        else:
            if not is_unique(model, fields):
                yield error_of(
                    model,
                    "E011",
                    f"lookup {shown!r} is not unique, so it does not lead to one row.",
                    "Add unique=True or a UniqueConstraint without a condition, or take it out "
                    "of lookups.",
                )


def _index_problems(model: type[Model], policy: CachePolicy) -> Iterator[CheckMessage]:
    for name in policy.indexes:
        if _field(model, name) is None:
            yield error_of(
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
    return versions.can_be_index(model, _field(model, name))


def _column_problems(model: type[Model], policy: CachePolicy) -> Iterator[CheckMessage]:
    if policy.pattern == "cache_aside":
        return  # Its rows are not carried.
    alias = router.db_for_write(model)
    for field in model._meta.concrete_fields:
        if kind_of(field, connections[alias]) is None:
            yield error_of(
                model,
                "E013",
                f"field {field.name!r} has the column type "
                f"{field.db_type(connections[alias])!r}, which the cache cannot carry.",
                "Say what psycopg gives for it with "
                "django_cachepatterns.orm.columns.register_column_type(), or leave the model "
                "uncached with pattern='cache_aside'.",
            )


def is_unique(model: type[Model], fields: Iterable[Field[Any, Any]]) -> bool:
    """Whether some columns together lead to one row, of which no condition is asked."""
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
