"""Primary keys as the members of a buffer, and back."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from django.db.models import Model

from .. import fields, keys

_LARGEST = 2**63 - 1


def member_of(model: type[Model], pk: Any) -> bytes:
    """The text of a primary key.

    Raises what Django does for a wrong one, `TypeError` for `None` and for another model's row, and
    `ValueError` for what no row can have as its key: a batch with it could not even be looked for.
    """
    if type(pk) is int and 0 <= pk <= _LARGEST and _is_integer(model):
        return b"%d" % pk
    if isinstance(pk, Model):
        _check_is_of(model, pk)
        pk = pk.pk
    if pk is None:
        raise TypeError(f"A {model._meta.label} without a primary key was given. Save it first.")
    value = fields.prepared(model, pk)
    if isinstance(value, int) and not -_LARGEST <= value <= _LARGEST:
        raise ValueError(f"{pk!r} is the key of no {model._meta.label}: it has more than 64 bits.")
    text = keys.value_text(value)
    if "\0" in text:
        raise ValueError(f"{pk!r} is the key of no {model._meta.label}: no text holds a NUL.")
    return text.encode()


def _check_is_of(model: type[Model], row: Model) -> None:
    """Refuse a row of a model that has other primary keys, of the same look."""
    target = fields.target(fields.primary_key(model)).model
    family = {model, *model._meta.all_parents, target}
    if isinstance(row, tuple(family)):
        return
    # A migration's models have the same labels.
    if row._meta.label not in {each._meta.label for each in family}:
        raise TypeError(f"A {row._meta.label} was given for a {model._meta.label}.")


@cache
def _is_integer(model: type[Model]) -> bool:
    """Whether the primary keys of a model are integers."""
    kind: str = fields.target(fields.primary_key(model)).get_internal_type()
    return kind.endswith(("IntegerField", "AutoField"))


def pk_of(model: type[Model], member: bytes) -> Any:
    """The primary key of a text, prepared for the database."""
    field = fields.target(fields.primary_key(model))
    text = member.decode("utf-8", "surrogatepass")
    return field.get_prep_value(field.to_python(text))


def pks_of(model: type[Model], members: Sequence[bytes]) -> list[Any]:
    """The same for many."""
    if _is_integer(model):
        return list(map(int, members))
    return [pk_of(model, member) for member in members]


def can_be_members(model: type[Model]) -> bool:
    """Whether the primary keys of a model are ones that a text can carry."""
    meta = model._meta
    return not getattr(meta, "is_composite_pk", False) and fields.is_stored_as_given(
        fields.primary_key(model)
    )
