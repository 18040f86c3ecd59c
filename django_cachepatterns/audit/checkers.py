"""How entries of each kind are compared: what they are asked for by, what the database says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from operator import or_
from typing import Any, Protocol

from django.db.models import Q, QuerySet

from ..cache_aside import CachedFunction
from ..exceptions import CodecError
from ..inspection import names
from ..inspection.asking import asked_in, lookup_values_in, pk_in, value_of
from ..inspection.families import values_of
from ..inspection.names import Name
from ..inspection.payloads import model_of, rows_of_name
from ..invalidation import registry
from ..orm.lookups import Lookup
from ..orm.rows import CachedRows
from ..write_through import WriteThrough
from . import outcomes
from .looks import Asked, Seen

AT_ONCE = 100
"""Lookups in one query: each is a condition of its own."""


class _Unknown:
    """What is asked for is a hash in the key."""


UNKNOWN = _Unknown()


class Unloadable(Exception):
    """What entries are compared with cannot be had; the message says why, see `outcomes`."""


class Checker(Protocol):
    """Compares the entries of one family and kind."""

    source: Any
    ages: bool
    """Whether what is cached may be older than the database, by its policy."""

    def asked(self, name: Name) -> Any:
        """What a key's entry is asked for by; `UNKNOWN`: the key does not say."""

    def settled(self, asked: Asked, seen: Seen) -> Asked | str:
        """What to compare an entry by, now that it was seen; or why it is not compared."""

    def load(self, asked: Sequence[Asked]) -> Mapping[Asked, Any]:
        """What the database says; absent ones are left out. Raises `Unloadable`."""


class RowChecker:
    """Rows of one model in one database."""

    def __init__(self, rows: CachedRows) -> None:
        self.source = rows
        self.ages = rows.policy.invalidation == "ttl"

    def asked(self, name: Name) -> Any:
        try:
            return pk_in(name, self.source)
        except LookupError:
            return UNKNOWN

    def settled(self, asked: Asked, seen: Seen) -> Asked | str:
        if asked.asked is not UNKNOWN:
            return asked
        if seen.payload is None:
            return outcomes.HASHED
        rows = self.source
        try:
            pk = rows.key_of(rows.shape.value(rows.decode(seen.payload), rows.pk.attname))
            if rows.entry_key(pk) == asked.key:
                return asked._replace(asked=pk)
        except (CodecError, TypeError, ValueError):
            return outcomes.DAMAGED
        return asked  # Another row's: there is none under this key that it could be.

    def load(self, asked: Sequence[Asked]) -> Mapping[Asked, Any]:
        known = [each for each in asked if each.asked is not UNKNOWN]
        if not known:
            return {}
        found = self.source.load([each.asked for each in known]).values
        return {each: found[each.asked] for each in known if each.asked in found}


class LookupChecker:
    """Absences of one lookup: a pointer that leads to a row is checked by whoever follows it."""

    def __init__(self, lookup: Lookup, rows: CachedRows, attnames: Sequence[str]) -> None:
        self.source = lookup
        self.ages = rows.policy.invalidation == "ttl"
        self._rows, self._attnames = rows, attnames

    def asked(self, name: Name) -> Any:
        try:
            return self.source.arrange(lookup_values_in(name, self._rows))
        except LookupError:
            return UNKNOWN

    def settled(self, asked: Asked, seen: Seen) -> Asked | str:
        if seen.payload is not None:
            return outcomes.POINTER
        return outcomes.HASHED if asked.asked is UNKNOWN else asked

    def load(self, asked: Sequence[Asked]) -> Mapping[Asked, Any]:
        found: dict[Asked, Any] = {}
        for at in range(0, len(asked), AT_ONCE):
            some = asked[at : at + AT_ONCE]
            if self._any_of(some):
                # Hardly ever: an absence for which there is a row.
                every = self.source.load([each.asked for each in some]).values
                found |= {each: every[each.asked] for each in some if each.asked in every}
        return found

    def _any_of(self, asked: Sequence[Asked]) -> bool:
        pairs = (zip(self._attnames, each.asked, strict=True) for each in asked)
        rows: QuerySet[Any, Any] = QuerySet(self._rows.model, using=self._rows.alias)
        return rows.filter(reduce(or_, (Q(*each) for each in pairs))).exists()


class LoaderChecker:
    """What loaders give: values by key, and functions.

    Args:
        source: the values'.
        asked_in: what a key's entry is asked for by; raises `LookupError`.
        unknown: what to say where the key does not tell.
    """

    ages = False

    def __init__(self, source: Any, asked_in: Callable[[Name], Any], unknown: str) -> None:
        self.source, self.unknown = source, unknown
        self._asked_in = asked_in

    def asked(self, name: Name) -> Any:
        try:
            asked = self._asked_in(name)
        except LookupError:
            return UNKNOWN
        return asked if asked.key == name.raw else UNKNOWN

    def settled(self, asked: Asked, seen: Seen) -> Asked | str:
        return asked

    def load(self, asked: Sequence[Asked]) -> Mapping[Asked, Any]:
        try:
            loaded = self.source.load([each.asked for each in asked])
        except Exception as error:  # It is the project's own code.
            raise Unloadable(outcomes.LOADER_FAILED) from error
        if not loaded.publish:
            raise Unloadable(outcomes.UNPUBLISHED)
        found = loaded.values
        return {each: found[each.asked] for each in asked if each.asked in found}


def checker_of(name: Name, loaders: bool) -> Checker | str:
    """What compares the entries of a key's kind, for the present tenant; or why nothing does.

    Args:
        loaders: whether the loaders of read-through values may be called; those of values that are
            written through always are.
    """
    if name.kind in (names.ROW, names.LOOKUP):
        model = model_of(name)
        rows = rows_of_name(name)
        if model is None or rows is None or not registry.is_tracked(model):
            return outcomes.NOT_READ
        return RowChecker(rows) if name.kind == names.ROW else _lookup_checker(name, rows)
    if name.kind == names.VALUE:
        values = values_of(name)
        if values is None or (reader := values.reader) is None:
            return outcomes.NOT_READ
        if not loaders and not isinstance(values, WriteThrough):
            return outcomes.AGING
        known = values
        return LoaderChecker(
            reader.source, lambda each: known.asked(asked_in(each)), outcomes.HASHED_VALUE
        )
    return _NOT_COMPARED[name.kind]


def function_checker(function: CachedFunction[Any, Any]) -> Checker | str:
    """What compares the entries of a function; or why nothing does."""
    reader = function.reader
    if reader is None:
        return outcomes.NOT_READ
    return LoaderChecker(
        reader.source, lambda each: function.asked_in(each.rest, value_of), outcomes.ARGUMENTS
    )


def attnames_in(name: Name) -> tuple[str, ...]:
    """The columns of a lookup's key, in its order."""
    return tuple(pair.partition("=")[0] for pair in name.rest.split("&"))


def _lookup_checker(name: Name, rows: CachedRows) -> Checker | str:
    attnames = attnames_in(name)
    lookup = rows.lookups.get(frozenset(attnames))
    return outcomes.NOT_READ if lookup is None else LookupChecker(lookup, rows, attnames)


_NOT_COMPARED = {
    names.QUERY: outcomes.QUERY,
    names.FUNCTION: outcomes.FUNCTION,
    names.FRAGMENT: outcomes.FRAGMENT,
}
