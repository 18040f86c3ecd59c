"""What Django says of a model's columns."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.apps import apps
from django.db.models import Model

# Fields are `Any` here: what the stubs know of them ends where third-party fields begin.


def primary_key(model: type[Model]) -> Any:
    """The primary key's field."""
    return model._meta.pk


def column(model: type[Model], name: str) -> Any:
    """The field of a name. Raises `FieldDoesNotExist`."""
    return model._meta.get_field(primary_key(model).name if name == "pk" else name)


def attname(model: type[Model], name: str) -> str:
    """The attribute that holds a column's value: `category_id` for `category`."""
    found: str = column(model, name).attname
    return found


def target(field: Any) -> Any:
    """The column that a field's values come from: a foreign key's is the one it points at."""
    while field.remote_field is not None:
        field = field.target_field
    return field


def prepared(model: type[Model], pk: Any) -> Any:
    """A primary key as the database gets it. Raises what Django does for a wrong one."""
    return primary_key(model).get_prep_value(pk)


def all_prepared(model: type[Model], pks: Iterable[Any]) -> list[Any]:
    """The same of many."""
    found = list(pks)
    key = target(primary_key(model))
    if key.get_internal_type() in _INTEGERS and is_plain(key) and set(map(type, found)) <= {int}:
        return found
    return [prepared(model, pk) for pk in found]


def is_plain(field: Any) -> bool:
    """Whether Django prepares a column's values: then preparing twice is preparing once."""
    kind = type(target(field))
    methods = (kind.get_prep_value, kind.get_db_prep_value, getattr(kind, "from_db_value", None))
    return all(
        method is None or method.__module__.startswith("django.db.models") for method in methods
    )


_INTEGERS = frozenset(
    {
        *("AutoField", "BigAutoField", "SmallAutoField", "IntegerField", "BigIntegerField"),
        *("SmallIntegerField", "PositiveIntegerField", "PositiveBigIntegerField"),
        "PositiveSmallIntegerField",
    }
)
_STABLE = _INTEGERS | {"UUIDField", "CharField", "SlugField", "TextField", "DateField"}


def is_stored_as_given(field: Any) -> bool:
    """Whether the database keeps the very value that it is given: no rounding, no zones."""
    return is_plain(field) and target(field).get_internal_type() in _STABLE


def is_cacheable(model: type[Model]) -> bool:
    """Whether rows of a model can be entries.

    They need one primary key column whose values are stored as given, and one key for all tables
    of a multi-table family.
    """
    meta = model._meta
    if meta.abstract or meta.swapped or getattr(meta, "is_composite_pk", False):
        return False
    if not is_stored_as_given(primary_key(model)):
        return False
    family = [other for other in apps.get_models() if model in other._meta.all_parents]
    return all(_has_one_key(each) for each in (model, *family))


def _has_one_key(model: type[Model]) -> bool:
    return all(
        step.join_field.primary_key
        for parent in model._meta.all_parents
        for step in model._meta.get_path_to_parent(parent)
    )
