"""What the result of a query depends on, read from the SQL that Django makes of it.

Every table that the SQL names is in it under its quoted name, in whatever join, subquery, union or
expression; so none is missed. A column of the same name only makes a result depend on too much.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

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

MOST_PINNED = 20
"""Values of one `IN` that are depended on one by one."""

_QUOTED = re.compile(r'"((?:[^"]|"")*)"|`((?:[^`]|``)*)`')
_LITERAL = re.compile(r"'(?:[^']|'')*'")
_VOLATILE = re.compile(
    r"""\b(?:
        (?:RANDOM|RAND|NOW|CLOCK_TIMESTAMP|STATEMENT_TIMESTAMP|TRANSACTION_TIMESTAMP|TIMEOFDAY
          |SYSDATE|SYSTIMESTAMP|UTC_DATE|UTC_TIME|UTC_TIMESTAMP|UNIX_TIMESTAMP|CURDATE|CURTIME
          |GEN_RANDOM_UUID|UUID_GENERATE_V[0-9]\w*|UUIDV[47]|UUID|NEXTVAL|CURRVAL|LASTVAL
          |CURRENT_SETTING|PG_BACKEND_PID|AGE|SETSEED)\s*\(
        |(?:CURRENT_TIMESTAMP|CURRENT_DATE|CURRENT_TIME|LOCALTIMESTAMP|LOCALTIME
          |CURRENT_USER|SESSION_USER|CURRENT_ROLE)\b
    )""",
    re.IGNORECASE | re.VERBOSE,
)
_UNQUOTED = re.compile(
    r"(?P<before>\w+\s+)?\b(?:FROM|JOIN)\s+(?:ONLY\s+|LATERAL\s+)*(?P<table>[A-Za-z_][\w.]*)",
    re.IGNORECASE,
)
_FROM_IN_A_FUNCTION = re.compile(
    r"\b(?:EXTRACT|TRIM|SUBSTRING|OVERLAY)\s*\((?:[^()]|\([^()]*\))*\Z", re.IGNORECASE
)
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


def _followed_models_in(sql: str) -> list[type[Model]]:
    """The models of a statement that may be cached."""

    def look() -> list[type[Model]]:
        bare = _QUOTED.sub('"', _LITERAL.sub("''", sql))
        _refuse_volatile(bare, sql)
        _refuse_unknown_tables(bare)
        found = models_in(sql)
        for model in found:
            _refuse_unfollowed(model)
        return found

    key = ("models of a statement", sql, registry.generation())
    return conf.config().remember(key, look)  # type: ignore[no-any-return]


def _refuse_volatile(bare: str, sql: str) -> None:
    volatile = _VOLATILE.search(bare) or re.search(r"'now'", sql, re.IGNORECASE)
    if volatile:
        raise UncacheableQuery(
            f"The query calls {volatile[0].strip('(').strip()}, which gives something else every "
            "time. Compute the value in Python, rounded to what a result may lag behind; or say "
            ".cache(ttl=..., invalidation='ttl') to have the result for that long; or leave .cache() "
            "out."
        )


def _refuse_unknown_tables(bare: str) -> None:
    for found in _UNQUOTED.finditer(bare):
        before = (found["before"] or "").strip().upper()
        if before == "DISTINCT" or _FROM_IN_A_FUNCTION.search(bare[: found.start("table")]):
            continue
        raise UncacheableQuery(
            f"The query reads {found['table']!r} by raw SQL, so what it depends on is not known. "
            "Say it with the ORM; or say .cache(ttl=..., invalidation='ttl') to have the result for "
            "that long; or leave .cache() out."
        )


def _refuse_unfollowed(model: type[Model]) -> None:
    if not registry.is_tracked(model):
        raise UncacheableQuery(
            f"The query depends on {model._meta.label}, whose writes are not followed. Derive it "
            f"from CachedModel, or name it in CACHEPATTERNS['POLICIES']: "
            f"{{{model._meta.label!r}: {{}}}}."
        )


def models_in(sql: str) -> list[type[Model]]:
    """The models whose tables a statement names."""
    by_table = _models_by_table()
    sql = _LITERAL.sub("''", sql)
    names = {(a or b).replace('""', '"') for a, b in _QUOTED.findall(sql)}
    return [model for name in sorted(names) for model in by_table.get(name, ())]


def _models_by_table() -> dict[str, list[type[Model]]]:
    def make() -> dict[str, list[type[Model]]]:
        found: dict[str, list[type[Model]]] = {}
        for model in apps.get_models(include_auto_created=True):
            if model._meta.concrete_model is model and not model._meta.swapped:
                # A table in another schema is written as `"schema"."table"`.
                name = model._meta.db_table.strip('"').rpartition('"."')[2]
                found.setdefault(name, []).append(model)
        return found

    return conf.config().remember(("tables by name", registry.generation()), make)  # type: ignore[no-any-return]


def _narrowed(query: Query, sql: str, model: type[Model], alias: str) -> list[bytes] | None:
    """The tags of the indexed values that the query pins, in the place of its own table's tag."""
    if query.combinator or query.extra_tables:
        return None
    table = next((t for t in versions.tables_of(model, alias) if t.model is model), None)
    if table is None or not table.indexes or _occurrences(sql, model, alias) != 1:
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


def _occurrences(sql: str, model: type[Model], alias: str) -> int:
    """How often a query reads from a model's table."""
    table = connections[alias].ops.quote_name(model._meta.db_table)
    sql = _LITERAL.sub("''", sql)
    return len(re.findall(rf"(?:\bFROM|\bJOIN|,)[\s(]*{re.escape(table)}(?!\s*\.)", sql))


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
