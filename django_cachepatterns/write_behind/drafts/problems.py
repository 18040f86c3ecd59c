"""What may be wrong with a draft."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from django.core.exceptions import FieldDoesNotExist
from django.db.models import Model

from ... import fields
from .. import registry
from ..problems import Problem

if TYPE_CHECKING:
    from .draft import Draft


def of_columns(draft: Draft) -> Iterator[Problem]:
    """Why a draft cannot be of its model, or of the columns that it names."""
    try:
        model = draft.model
    except (LookupError, ValueError) as error:
        yield Problem(
            "E046", f"its model cannot be found: {error}", 'Name it as "app_label.Model".'
        )
        return
    whole = draft.fields is None
    if (whole or draft.create) and model._meta.parents:
        yield Problem(
            "E047",
            f"a row of {model._meta.label} is in several tables, because it has parents.",
            "Draft columns of one table: name them in fields, and leave create out.",
        )
    names = ", ".join(field.name for field in _possible(model))
    for name in draft.fields or ():
        reason = _unfit(model, name)
        if reason is not None:
            yield Problem(
                "E048", f"{name!r} {reason}.", f"Use some of: {names or 'there is none'}."
            )
    if not (whole and names) and not draft.fields:
        yield Problem("E048", "it has no columns.", f"Use some of: {names or 'there is none'}.")


def of_others(draft: Draft) -> Iterator[Problem]:
    """Other buffers that write the same columns: which of two values is the last is not known."""
    home = draft.model._meta.concrete_model
    for other in registry.buffers():
        if other is draft or other.name.lower() == draft.name.lower():
            continue
        try:
            if other.model._meta.concrete_model is not home:
                continue
            shared = sorted(set(draft.columns()) & set(other.columns()))
        except (FieldDoesNotExist, LookupError, ValueError):
            continue  # Its own problems say so.
        if shared:
            yield Problem(
                "E049",
                f"{other.name}, a {other.kind}, writes {', '.join(shared)}, too; what reaches the "
                "database last would stay, whichever was saved last.",
                "Have one buffer for each column.",
            )


def chosen_fields(draft: Draft) -> list[Any]:
    """The fields that are drafted."""
    if draft.fields is None:
        return list(_possible(draft.model))
    found = {}
    for name in draft.fields:
        field = fields.column(draft.model, name)
        found[field.attname] = field
    return list(found.values())


def _possible(model: type[Model]) -> Iterator[Any]:
    return (field for field in model._meta.concrete_fields if _unfit(model, field.name) is None)


def _unfit(model: type[Model], name: str) -> str | None:
    """Why a column cannot be drafted; `None` where it can."""
    try:
        field = fields.column(model, name)
    except FieldDoesNotExist:
        return f"is no field of {model._meta.label}"
    if not getattr(field, "concrete", False) or field.many_to_many or field.column is None:
        return "has no column"
    if field.primary_key:
        return "is the primary key, by which a row is found"
    if getattr(field, "generated", False):
        return "is computed by the database"
    if field not in model._meta.local_concrete_fields:
        return f"is in the table of {field.model._meta.label}; draft that"
    return None
