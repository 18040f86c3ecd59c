"""What would have been asked without the cache: for people who look at what a read has saved."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.db import DatabaseError
from django.db.models import Field, Model, QuerySet

from ..orm.lookups import Lookup
from ..orm.results import Result
from ..orm.rows import CachedRows

HASHED = "#"
"""What a part of a key begins with that does not say the value."""
SHOWN = 100
"""Keys of a page that are named in its statement."""


def instead(source: Any, keys: Sequence[bytes]) -> str:
    """The statement that a read of keys stands for, or the name of the function.

    It is made from the keys, which do not say long values: those are shown as `?`.

    Args:
        source: what was read: the `sources.Source` that a hook was told.
        keys: of the entries.
    """
    try:
        if isinstance(source, CachedRows):
            return _rows(source, keys)
        if isinstance(source, Lookup):
            return "; ".join(_lookup(source, key) for key in keys[:SHOWN])
        if isinstance(source, Result):
            return _result(source)
    except (ValidationError, ValueError, TypeError, LookupError, DatabaseError):
        # A value that its column would not take as a text.
        return ", ".join(key.decode("utf-8", "replace") for key in keys[:SHOWN])
    return f"{source.name}()"


def _rows(source: CachedRows, keys: Sequence[bytes]) -> str:
    pks = [_value(source.pk, key[len(source.family) :].decode()) for key in keys[:SHOWN]]
    filters = {"pk": pks[0]} if len(pks) == 1 else {"pk__in": pks}
    return _select(source.model, source.alias, filters)


def _lookup(source: Lookup, key: bytes) -> str:
    rows: Any = source.owner
    pairs = key[len(rows.family) :].decode().split("&")
    filters = {
        field.attname: _value(field, pair.partition("=")[2])
        for field, pair in zip(source.fields, pairs, strict=True)
    }
    return _select(rows.model, rows.alias, filters)


def _result(source: Result) -> str:
    statement = source.statement
    if statement is None:
        return source.name
    sql, parameters = statement.compiler.as_sql()
    said = _filled(sql, parameters)
    return said if source.method is None else f"{source.method}() of {said}"


def _value(field: Field[Any, Any], text: str) -> Any:
    return field.to_python("?" if text.startswith(HASHED) else text)


def _select(model: type[Model], alias: str, filters: dict[str, Any]) -> str:
    queryset: QuerySet[Any, Any] = QuerySet(model, using=alias).filter(**filters).order_by()
    sql, parameters = queryset.query.get_compiler(using=alias).as_sql()
    return _filled(sql, parameters)


def _filled(sql: str, parameters: Sequence[Any]) -> str:
    """A statement with its parameters written in: to be read, not to be run."""
    return sql % tuple(map(_literal, parameters)) if parameters else sql


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool | int | float | Decimal):
        return str(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_literal, value))}]"
    return "'" + str(value).replace("'", "''") + "'"
