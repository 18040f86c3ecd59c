"""Which rows a query pins, where that is all that it says.

Recognises `get(pk=1)` in all its spellings, `pk__in`, and equality on columns; anything that
asks for more than whole rows of one table, or by more than that, is not recognised.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from django.db.models import Model
from django.db.models.expressions import Col, ColPairs
from django.db.models.fields.related_lookups import RelatedExact, RelatedIn
from django.db.models.fields.tuple_lookups import TupleIn
from django.db.models.lookups import Exact, In, IntegerFieldExact
from django.db.models.query import MAX_GET_RESULTS
from django.db.models.sql import Query
from django.db.models.sql.where import AND, WhereNode

_EXACT = frozenset({Exact, IntegerFieldExact, RelatedExact})
_IN = frozenset({In, RelatedIn})


class Pinned(NamedTuple):
    """What a query pins: a value for each of some columns, or several primary keys."""

    equal: dict[str, Any]
    keys: list[Any] | None = None


def pinned(query: Query, model: type[Model]) -> Pinned | None:
    """What a query pins, or `None`."""
    if not asks_for_whole_rows(query):
        return None
    lookups = _conjuncts(query.where)
    if lookups is None:
        return None
    equal: dict[str, Any] = {}
    for lookup in lookups:
        if type(lookup) in _EXACT:
            name = _column(lookup.lhs, query, model)
            if name is None or name in equal or _is_expression(lookup.rhs):
                return None
            equal[name] = lookup.rhs
        elif len(lookups) == 1:
            keys = _keys(lookup, query, model)
            return None if keys is None else Pinned({}, keys)
        else:
            return None
    return Pinned(equal) if equal else None


def asks_for_whole_rows(query: Query) -> bool:
    """Whether a query selects just the columns of its own model, each row as it is."""
    return (
        query.default_cols
        and not query.select
        and not query.annotations
        and not query.extra
        and not query.extra_tables
        and query.select_related is False
        and not query.distinct
        and query.combinator is None
        and query.group_by is None
        and not query.select_for_update
        and query.deferred_loading == (frozenset(), True)
        and query.low_mark == 0
        and query.high_mark in (None, MAX_GET_RESULTS)
    )


def _conjuncts(where: WhereNode) -> list[Any] | None:
    """The lookups of a plain AND; `None` where it is anything else, or nothing."""
    found: list[Any] = []
    if where.negated or (where.connector != AND and len(where.children) > 1):
        return None
    for child in where.children:
        if isinstance(child, WhereNode):
            inner = _conjuncts(child)
            if inner is None:
                return None
            found += inner
        else:
            found.append(child)
    return found or None


def _column(lhs: Any, query: Query, model: type[Model]) -> str | None:
    """The attname of a column of the query's own table."""
    if type(lhs) is not Col or lhs.alias != _base_alias(query):
        return None
    target = lhs.target
    return target.attname if target in model._meta.concrete_fields else None


def _keys(lookup: Any, query: Query, model: type[Model]) -> list[Any] | None:
    values = lookup.rhs if type(lookup) in _IN or type(lookup) is TupleIn else None
    if not isinstance(values, list | tuple | set | frozenset):
        return None
    pk = model._meta.pk
    if type(lookup) is TupleIn:
        lhs = lookup.lhs
        if type(lhs) is not ColPairs or len(lhs.targets) != 1 or lhs.targets[0] is not pk:
            return None
        if lhs.alias != _base_alias(query):
            return None
        values = [value for (value,) in values]
    elif pk is None or _column(lookup.lhs, query, model) != pk.attname:
        return None
    keys = [value for value in values if value is not None]
    return None if any(map(_is_expression, keys)) else keys


def _base_alias(query: Query) -> str | None:
    # Not `query.base_table`, which is cached: asked too early it stays `None` for good.
    return next(iter(query.alias_map), None)


def _is_expression(value: Any) -> bool:
    return hasattr(value, "resolve_expression") or isinstance(value, Query)
