"""The rows that metrics have sampled as the hottest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError

from .. import fields, keys
from ..exceptions import StoreUnavailable
from ..metrics import history
from ..orm.lookups import Lookup
from ..orm.rows import CachedRows
from .chosen import choose_all

MOST = 10_000
"""Keys that are asked for, unless a limit says otherwise."""


@dataclass(slots=True)
class Hot:
    """Rows by their models, each by its primary key, the hottest first.

    Args:
        unknown: how many keys there were that no row can be told from: lists, hashed keys.
        error: why there are none.
    """

    pks: dict[CachedRows, dict[Any, None]] = field(default_factory=dict)
    unknown: int = 0
    error: Exception | None = None


def hot_rows(chosen: Sequence[CachedRows], limit: int | None) -> Hot:
    """The hottest rows.

    Args:
        chosen: of these models; none: of every model that reads through.
        limit: the most keys.
    """
    rows = list(chosen or (each.rows for each in choose_all(hot=True)[0]))
    found = Hot()
    try:
        keys_of_all = history.hottest(limit or MOST)
        for name, _ in keys_of_all:
            _add(found, rows, name.encode())
    except StoreUnavailable as error:
        found.error = error
    return found


def _add(found: Hot, every: Sequence[CachedRows], name: bytes) -> None:
    for rows in every:
        if name.startswith(rows.family):
            pk = _pk_of(rows, name)
            if pk is None:
                found.unknown += 1
            else:
                found.pks.setdefault(rows, {})[pk] = None
            return


def _pk_of(rows: CachedRows, name: bytes) -> Any:
    """The primary key of the row that a key is of or leads to; `None` where none can be told."""
    text = name[len(rows.family) :].decode()
    if text.startswith(("~", "#")):
        return None
    lookup, values = _lookup_of(rows, text)
    if lookup is not None:
        if lookup.entry_key(values) != name:
            return None
        return lookup.reader.read([values]).get(values)
    pk = _value(rows.pk, text)
    return pk if pk is not None and keys.row(rows.family, pk) == name else None


def _lookup_of(rows: CachedRows, text: str) -> tuple[Lookup | None, tuple[Any, ...]]:
    """The lookup that a key's end is of, such as `slug=shoe`, and its values."""
    given = dict(pair.split("=", 1) for pair in text.split("&") if "=" in pair)
    lookup = rows.lookups.get(frozenset(given))
    if lookup is None:
        return None, ()
    return lookup, tuple(_value(each, given[each.attname]) for each in lookup.fields)


def _value(column: Any, text: str) -> Any:
    """A column's value by its text; `None` where it is none."""
    try:
        return column.get_prep_value(fields.target(column).to_python(text))
    except (ValidationError, ValueError, TypeError):
        return None
