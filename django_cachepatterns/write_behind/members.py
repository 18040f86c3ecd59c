"""Primary keys as the members of a buffer, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import Model

from .. import fields, keys


def member_of(model: type[Model], pk: Any) -> bytes:
    """The text of a primary key.

    Raises what Django does for a wrong one, `TypeError` for `None`, and `ValueError` for a text
    that no row can have as its key: a batch with it could not even be looked for.
    """
    if type(pk) is int and pk >= 0:
        return b"%d" % pk
    if isinstance(pk, Model):
        pk = pk.pk
    if pk is None:
        raise TypeError(f"A {model._meta.label} without a primary key was given. Save it first.")
    text = keys.value_text(fields.prepared(model, pk))
    if "\0" in text:
        raise ValueError(f"{pk!r} is the key of no {model._meta.label}: no text holds a NUL.")
    return text.encode()


def pk_of(model: type[Model], member: bytes) -> Any:
    """The primary key of a text, prepared for the database."""
    field = fields.target(fields.primary_key(model))
    text = member.decode("utf-8", "surrogatepass")
    return field.get_prep_value(field.to_python(text))


def pks_of(model: type[Model], members: Sequence[bytes]) -> list[Any]:
    """The same for many."""
    kind = fields.target(fields.primary_key(model)).get_internal_type()
    if kind.endswith(("IntegerField", "AutoField")):
        return list(map(int, members))
    return [pk_of(model, member) for member in members]


def can_be_members(model: type[Model]) -> bool:
    """Whether the primary keys of a model are ones that a text can carry."""
    meta = model._meta
    return not getattr(meta, "is_composite_pk", False) and fields.is_stored_as_given(
        fields.primary_key(model)
    )
