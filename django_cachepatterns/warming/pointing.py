"""The keys of rows and lookups, and what they hold, made of what the driver gave."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import fields, keys
from ..orm.lookups import Lookup
from ..orm.rows import CachedRows
from .holding import Keys

Prepare = Callable[[Any], Any]
"""Makes what keys are made of, of what the driver gave; `None` where that is the same."""


class RowKeys:
    """The keys of a model's rows.

    Args:
        rows: the model's.
    """

    def __init__(self, rows: CachedRows) -> None:
        self._rows = rows
        self._prepare = preparing(rows, rows.pk)

    def pk(self, value: Any) -> Any:
        """A primary key as entries are asked for by it."""
        return value if self._prepare is None else self._prepare(value)

    def of(self, found: Sequence[Sequence[Any]]) -> Keys:
        """The keys of rows that begin with their primary keys."""
        rows, family = self._rows, self._rows.family
        pks = [self.pk(row[0]) for row in found]
        if set(map(type, pks)) <= {int}:
            names = [b"%b%d" % (family, pk) for pk in pks]
        else:
            names = [keys.row(family, pk) for pk in pks]
        return Keys(range(len(names)), names, rows.fingerprint, rows.version_tags)


class LookupKeys:
    """The keys of one lookup.

    Args:
        rows: the model's.
        lookup: one of its lookups.
        names: the columns that are found before the rows are read.
    """

    def __init__(self, rows: CachedRows, lookup: Lookup, names: Sequence[str]) -> None:
        self._rows, self.lookup = rows, lookup
        self.columns = [names.index(name) for name in lookup.columns]
        self._prepare = [preparing(rows, field) for field in lookup.fields]

    def of(self, found: Sequence[Sequence[Any]]) -> Keys:
        """The keys of rows; one with a NULL in the lookup is not found by it, and has none."""
        chosen, names = [], []
        for number, row in enumerate(found):
            name = self._name(self.values(row))
            if name is not None:
                chosen.append(number)
                names.append(name)
        lookup = self.lookup
        return Keys(chosen, names, lookup.fingerprint, lookup.tags(()))

    def values(self, row: Sequence[Any]) -> tuple[Any, ...]:
        """A row's values in the lookup, as entries are asked for by them."""
        return tuple(
            row[at] if prepare is None or row[at] is None else prepare(row[at])
            for at, prepare in zip(self.columns, self._prepare, strict=True)
        )

    def _name(self, values: Sequence[Any]) -> bytes | None:
        if None in values:
            return None
        try:
            return keys.lookup(self._rows.family, self.lookup.columns, values)
        except TypeError:
            return None


def preparing(rows: CachedRows, field: Any) -> Prepare | None:
    """What prepares the values of a column."""
    shape, name = rows.shape, field.attname
    if fields.is_stored_as_given(field) and not shape.converts(name):
        return None
    return lambda value: field.get_prep_value(shape.value({name: value}, name))
