"""What Django says of a model's columns."""

from __future__ import annotations

from typing import Any

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


def is_plain(field: Any) -> bool:
    """Whether Django itself prepares a column's values, so that preparing twice is preparing once."""
    kind = type(target(field))
    methods = (kind.get_prep_value, kind.get_db_prep_value, getattr(kind, "from_db_value", None))
    return all(
        method is None or method.__module__.startswith("django.db.models") for method in methods
    )


def is_cacheable(model: type[Model]) -> bool:
    """Whether rows of a model can be entries: one primary key column, of a plain field."""
    meta = model._meta
    return not (
        meta.abstract
        or meta.swapped
        or getattr(meta, "is_composite_pk", False)
        or not is_plain(primary_key(model))
    )
