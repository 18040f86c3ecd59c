"""What the result of a query depends on, read from the SQL that Django makes of it.

Every table that the SQL names is in it under its quoted name, in whatever join, subquery, union
or expression; so none is missed. A column of the same name only makes a result depend on too
much. What stands where a table must and is no model's, or is not quoted, is refused: it is
somebody's raw SQL.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from django.apps import apps
from django.db import connections
from django.db.models import Model
from django.db.models.expressions import Col
from django.db.models.fields.related_lookups import RelatedExact, RelatedIn
from django.db.models.lookups import Exact, In, IntegerFieldExact
from django.db.models.sql import Query
from django.db.models.sql.where import AND, WhereNode

from .. import conf, keys
from ..exceptions import UncacheableQuery
from ..invalidation import registry, versions
from .columns import compares_exactly
from .sql import Reading, read

MOST_PINNED = 20
"""Values of one `IN` that are depended on one by one."""

_EXACT = frozenset({Exact, IntegerFieldExact, RelatedExact})
_IN = frozenset({In, RelatedIn})


def tags_of(query: Query, sql: str, model: type[Model], alias: str) -> tuple[bytes, ...]:
    """The keys of the tags that a query's result depends on.

    Args:
        sql: what the query compiles to.
        alias: the database that is written.

    Raises `UncacheableQuery` where they cannot be known, with the remedy.
    """
    concrete = model._meta.concrete_model or model
    narrowed = _narrowed(query, sql, concrete, alias)
    found: dict[bytes, None] = dict.fromkeys(narrowed or ())
    for each in _followed_models_in(sql):
        if not (narrowed and each is concrete):
            found.update(
                (table.tag, None)
                for table in versions.tables_of(each, alias)
                if table.model is each
            )
    return tuple(found)


def tags_of_models(models: Iterable[type[Model]], alias: str) -> tuple[bytes, ...]:
    """The keys of the tags of models' tables, which must be followed."""
    found: dict[bytes, None] = {}
    for model in models:
        _refuse_unfollowed(model._meta.concrete_model or model)
        found.update(dict.fromkeys(versions.of_tables(model, alias)))
    return tuple(found)


class _Statement(NamedTuple):
    """What a statement depends on.

    Args:
        models: those whose tables it reads, and any of the same name as something else in it.
        tables: the names of the tables that it reads, as often as it does.
        fault: why that is not known, with the remedy; `None`: it is.
    """

    models: tuple[type[Model], ...]
    tables: tuple[str, ...]
    fault: str | None


def models_in(sql: str) -> tuple[type[Model], ...]:
    """The models whose tables a statement names."""
    return _looked_at(sql).models


def _looked_at(sql: str) -> _Statement:
    def look() -> _Statement:
        reading, by_table = read(sql), _models_by_table()
        names = sorted({*reading.tables, *reading.names})
        models = tuple(model for name in names for model in by_table.get(name, ()))
        return _Statement(models, reading.tables, _fault(reading, by_table))

    key = ("statement", sql, registry.generation())
    return conf.config().remember(key, look)


def _followed_models_in(sql: str) -> tuple[type[Model], ...]:
    """The models that a statement depends on, all of which are followed."""
    looked_at = _looked_at(sql)
    if looked_at.fault is not None:
        raise UncacheableQuery(looked_at.fault)
    for model in looked_at.models:
        _refuse_unfollowed(model)
    return looked_at.models


def _fault(reading: Reading, by_table: Mapping[str, Any]) -> str | None:
    or_else = (
        "say .cache(ttl=..., invalidation='ttl') to have the result for that long, whatever is "
        "written; or leave .cache() out."
    )
    if reading.volatile is not None:
        return (
            f"The query calls {reading.volatile}, which gives something else every time. Compute "
            f"the value in Python, rounded to what a result may lag behind; or {or_else}"
        )
    unknown = next((name for name in reading.tables if name not in by_table), reading.unquoted)
    if unknown is not None:
        return (
            f"The query reads {unknown!r} by raw SQL, so what it depends on is not known. "
            f"Say it with the ORM; or {or_else}"
        )
    return None


def _refuse_unfollowed(model: type[Model]) -> None:
    if not registry.is_tracked(model) and not registry.targets_of(model):
        raise UncacheableQuery(
            f"The query depends on {model._meta.label}, whose writes are not followed. Derive it "
            f"from CachedModel, or name it in CACHEPATTERNS['POLICIES']: "
            f"{{{model._meta.label!r}: {{}}}}."
        )


def _models_by_table() -> dict[str, list[type[Model]]]:
    def make() -> dict[str, list[type[Model]]]:
        found: dict[str, list[type[Model]]] = {}
        for model in apps.get_models(include_auto_created=True):
            if model._meta.concrete_model is model and not model._meta.swapped:
                found.setdefault(_table_name(model), []).append(model)
        return found

    return conf.config().remember(("tables by name", registry.generation()), make)


def _table_name(model: type[Model]) -> str:
    """The name of a model's table, without its schema: `"schema"."table"` is a table, too."""
    return model._meta.db_table.strip('"').rpartition('"."')[2]


def _narrowed(query: Query, sql: str, model: type[Model], alias: str) -> list[bytes] | None:
    """The tags of the indexed values that the query pins, in the place of its own table's tag."""
    if query.combinator or query.extra_tables:
        return None
    table = next((t for t in versions.tables_of(model, alias) if t.model is model), None)
    if table is None or not table.indexes:
        return None
    if _looked_at(sql).tables.count(_table_name(model)) != 1:
        return None
    for field in table.indexes:
        if not compares_exactly(field, connections[alias]):
            continue
        values = _pinned_values(query, field)
        if values:
            return [
                keys.every_index(table.family, field.attname),
                *(keys.index(table.family, field.attname, value) for value in values),
            ]
    return None


def _pinned_values(query: Query, field: Any) -> list[Any] | None:
    """The values that a column has in all rows of a query; `None` where it is not pinned."""
    base = next(iter(query.alias_map), None)
    for lookup in _conjuncts(query.where):
        lhs = getattr(lookup, "lhs", None)
        if type(lhs) is not Col or lhs.alias != base or lhs.target is not field:
            continue
        if type(lookup) in _EXACT:
            values = [lookup.rhs]
        elif type(lookup) in _IN and isinstance(lookup.rhs, list | tuple | set | frozenset):
            values = list(lookup.rhs)
        else:
            continue
        if len(values) <= MOST_PINNED and not any(map(_is_unknown, values)):
            return [field.get_prep_value(value) for value in values]
    return None


def _is_unknown(value: Any) -> bool:
    return value is None or hasattr(value, "resolve_expression") or isinstance(value, Query)


def _conjuncts(where: WhereNode) -> Iterator[Any]:
    """The lookups that all rows match: those of the outermost AND."""
    if where.negated or (where.connector != AND and len(where.children) > 1):
        return
    for child in where.children:
        if isinstance(child, WhereNode):
            yield from _conjuncts(child)
        else:
            yield child
