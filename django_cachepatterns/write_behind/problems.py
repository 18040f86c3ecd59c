"""What may be wrong with a buffer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from django.core.exceptions import FieldDoesNotExist
from django.db.models import Model

from .. import fields
from .members import can_be_members
from .records import LedgerEntry

if TYPE_CHECKING:
    from .buffer import Buffer

_WHOLE = frozenset(
    {
        *("IntegerField", "BigIntegerField", "SmallIntegerField"),
        *("PositiveIntegerField", "PositiveBigIntegerField", "PositiveSmallIntegerField"),
    }
)
WHEN_FULL = ("database", "raise")


class Problem(NamedTuple):
    """One fault: the suffix of its check id, what is wrong, and the remedy."""

    code: str
    message: str
    hint: str


def of(buffer: Buffer[Any]) -> Iterator[Problem]:
    """What is wrong with a buffer's name, its options, and its model's key."""
    longest = LedgerEntry._meta.get_field("buffer").max_length
    if longest is not None and len(buffer.name) > longest:
        yield Problem(
            "E056",
            f"its name has {len(buffer.name)} characters; the ledger has room for {longest}.",
            "Give it a shorter one.",
        )
    for name, value in (("flush_every", buffer.flush_every),):
        if not _is_number(value) or not 0 < value < 1e9:
            yield Problem(
                "E040",
                f"{name} is {value!r}; it must be a positive number of seconds or a timedelta.",
                f"Leave {name} out to get 5 seconds.",
            )
    for name, value, least in (
        ("batch_rows", buffer.batch_rows, 1),
        ("max_pending", buffer.max_pending, 0),
    ):
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            yield Problem(
                "E041", f"{name} is {value!r}; it must be a number of rows.", f"Leave {name} out."
            )
    if buffer.when_full not in WHEN_FULL:
        yield Problem(
            "E042", f"when_full is {buffer.when_full!r}.", f"Use one of: {', '.join(WHEN_FULL)}."
        )
    if not can_be_members(buffer.model):
        yield Problem(
            "E043",
            f"the primary key of {buffer.model._meta.label} is composite, or of a kind whose "
            "values the database may change.",
            "Use an integer, text, UUID or date as primary key.",
        )


def of_number(model: type[Model], name: str) -> Iterator[Problem]:
    """What is wrong with a column that is to be counted in."""
    whole = ", ".join(
        field.name for field in model._meta.concrete_fields if _is_whole(field) and not field.unique
    )
    try:
        field = fields.column(model, name)
    except FieldDoesNotExist:
        field = None
    if field is None or not getattr(field, "concrete", False):
        yield Problem(
            "E044",
            f"{name!r} is no column of {model._meta.label}.",
            f"Use one of: {whole or 'there is none; add a PositiveBigIntegerField'}.",
        )
    elif not _is_whole(field):
        yield Problem(
            "E045",
            f"{name!r} is the primary key, by which rows are found."
            if field.primary_key
            else f"{name!r} is a {type(field).__name__}; counts are whole numbers.",
            f"Use an integer column, such as {whole or 'a PositiveBigIntegerField'}; count cents "
            "or milliseconds where a fraction is meant.",
        )


def _is_whole(field: Any) -> bool:
    return not field.primary_key and field.get_internal_type() in _WHOLE


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
