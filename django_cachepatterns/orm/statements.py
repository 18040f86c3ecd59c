"""A query as its result is known by: its SQL, compiled once, and its parameters as text."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from django.core.exceptions import EmptyResultSet
from django.db import connections
from django.db.models import Field, Model
from django.db.models.expressions import Ref
from django.db.models.sql import Query

from .. import conf
from ..arguments import UnstableArgument, stable_text
from ..exceptions import UncacheableQuery


class Statement(NamedTuple):
    """A compiled query.

    Args:
        compiler: Django's, which has made the SQL, and knows what the columns are.
        sql: the text.
        digest: the same for the same text, parameters and extras.
    """

    compiler: Any
    sql: str
    digest: str


def compiled(
    query: Query,
    alias: str,
    *extras: str,
    aggregates: Mapping[str, Any] | None = None,
) -> Statement | None:
    """A query compiled for a database; `None` where Django knows that it finds nothing.

    Args:
        extras: texts that tell results of the same SQL apart.
        aggregates: expressions that are computed over it, by name.

    Raises `UncacheableQuery` where a parameter has no stable text.
    """
    texts: list[str] = []
    parts: list[str] = list(extras)
    parameters: list[Any] = []
    if aggregates is not None:
        query = query.chain()
        resolved = _resolved(query, aggregates)
    compiler = query.get_compiler(using=alias)
    try:
        sql, given = compiler.as_sql()
        texts.append(sql)
        parameters += given
        for name, expression in resolved if aggregates is not None else ():
            text, given = compiler.compile(expression)
            texts.append(text)
            parts += [name, _field_text(expression.output_field)]
            parameters += given
    except EmptyResultSet:
        return None
    return Statement(compiler, " ".join(texts), _digest([*texts, *parts], parameters))


def schema_of(models: tuple[type[Model], ...], alias: str) -> bytes:
    """Changes with the columns of tables: after a migration their old results are misses."""

    def make() -> bytes:
        connection = connections[alias]
        said = [
            (model._meta.label_lower, field.column, field.db_type(connection))
            for model in models
            for field in model._meta.local_concrete_fields
        ]
        return hashlib.blake2b(repr(said).encode(), digest_size=8).digest()

    found: bytes = conf.config().remember(("schema", models, alias), make)
    return found


def _resolved(query: Query, aggregates: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Aggregates as Django's `Query.get_aggregation()` resolves them: later ones may name earlier.

    Their joins are added to the query.
    """
    mask, annotations = query.annotation_select_mask, query.annotations
    replacements: dict[Any, Any] = {}
    query.annotations = dict(annotations)
    found = []
    for name, expression in aggregates.items():
        made = expression.resolve_expression(query, allow_joins=True, reuse=None, summarize=True)
        query.append_annotation_mask([name])
        query.annotations[name] = made = made.replace_expressions(replacements)
        replacements[Ref(name, made)] = made
        found.append((name, made))
    query.annotations = annotations
    query.set_annotation_mask(mask)
    return found


def _field_text(field: Any) -> str:
    """What makes Python values of a column: two aggregates may differ in nothing but that."""
    kind = f"{type(field).__module__}.{type(field).__qualname__}"
    if getattr(field, "model", None) is not None:
        return f"{kind} {field.model._meta.label_lower}.{field.attname}"
    _, _, args, kwargs = field.deconstruct()
    return f"{kind} {_option_text(args)} {_option_text(sorted(kwargs.items()))}"


def _option_text(value: Any) -> str:
    if isinstance(value, Field):
        return _field_text(value)
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_option_text, value))}]"
    if isinstance(value, type) or callable(value):
        return f"{value.__module__}.{getattr(value, '__qualname__', value)}"
    return repr(value)


def _digest(parts: list[str], parameters: list[Any]) -> str:
    said = hashlib.blake2b(digest_size=20)
    for part in (*parts, *(_text(at, value) for at, value in enumerate(parameters))):
        data = part.encode("utf-8", "surrogatepass")
        said.update(len(data).to_bytes(8) + data)
    return said.hexdigest()


def _text(at: int, value: Any) -> str:
    kind = type(value)
    name = kind.__name__
    if kind.__module__ == "psycopg.types.json":
        return f"{name}:{_text(at, value.obj)}"
    if kind.__module__ == "psycopg.types.range":
        lower, upper = _text(at, value.lower), _text(at, value.upper)
        return f"{name}:{value.isempty}:{value.bounds}:{lower}:{upper}"
    if kind in (list, tuple):
        return f"{name}:[{','.join(_text(at, each) for each in value)}]"
    if kind in (Decimal, float):
        return f"{name}:{value!r}"  # 1.0 and 1.00 are equal, but not what a query makes of them.
    try:
        return f"{name}:{stable_text(value)}"
    except UnstableArgument as error:
        raise UncacheableQuery(
            f"Parameter {at + 1} of the query is a {kind.__module__}.{kind.__qualname__}, which "
            "has no stable text to be known by. Filter by a plain value, or leave .cache() out."
        ) from error
