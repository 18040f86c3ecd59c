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
