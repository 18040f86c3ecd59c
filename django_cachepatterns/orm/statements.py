"""A query as its result is known by: its SQL, compiled once, and its parameters as text."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from django.core.exceptions import EmptyResultSet, FieldError
from django.db import connections
from django.db.models import Model
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
    *extras: Any,
    aggregates: Mapping[str, Any] | None = None,
) -> Statement | None:
    """A query compiled for a database; `None` where Django knows that it finds nothing.

    Args:
        extras: texts that tell results of the same SQL apart.
        aggregates: expressions that are computed over it, by name.

    Raises `UncacheableQuery` where a parameter has no stable text.
    """
    parts: list[str] = []
    parameters: list[Any] = list(extras)
    if aggregates is not None:
        query = query.chain()
        resolved = _resolved(query, aggregates)
    compiler = query.get_compiler(using=alias)
    try:
        sql, given = compiler.as_sql()
        parts.append(sql)
        parameters += given
        for name, expression in resolved if aggregates is not None else ():
            text, given = compiler.compile(expression)
            parts += [name, text]
            parameters += given
    except EmptyResultSet:
        return None
    return Statement(compiler, " ".join(parts), _digest(parts, parameters))


def schema_of(models: list[type[Model]], alias: str) -> bytes:
    """Changes with the columns of tables: after a migration their old results are misses."""

    def make() -> bytes:
        connection = connections[alias]
        said = [
            (model._meta.label_lower, field.column, field.db_type(connection))
            for model in models
            for field in model._meta.local_concrete_fields
        ]
        return hashlib.blake2b(repr(said).encode(), digest_size=8).digest()

    found: bytes = conf.config().remember(("schema", tuple(models), alias), make)
    return found


def _resolved(query: Query, aggregates: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Aggregates as Django would compute them; their joins are added to the query."""
    found = []
    for name, expression in aggregates.items():
        try:
            made = expression.resolve_expression(
                query, allow_joins=True, reuse=None, summarize=True
            )
        except FieldError as error:
            raise UncacheableQuery(
                f"The aggregate {name!r} cannot be told from others ({error}). Leave .cache() out."
            ) from error
        found.append((name, made))
    return found


def _digest(parts: list[str], parameters: list[Any]) -> str:
    said = hashlib.blake2b(digest_size=20)
    for part in (*parts, *(_text(at, value) for at, value in enumerate(parameters))):
        data = part.encode("utf-8", "surrogatepass")
        said.update(len(data).to_bytes(8) + data)
    return said.hexdigest()


def _text(at: int, value: Any) -> str:
    kind = type(value)
    if kind.__module__ == "psycopg.types.json":
        return f"{kind.__name__}:{_text(at, value.obj)}"
    if kind.__module__ == "psycopg.types.range":
        bounds = [stable_text(each) for each in (value.lower, value.upper)]
        return f"{kind.__name__}:{value.isempty}:{value.bounds}:{bounds}"
    try:
        return f"{kind.__name__}:{stable_text(value)}"
    except UnstableArgument as error:
        raise UncacheableQuery(
            f"Parameter {at + 1} of the query is a {kind.__module__}.{kind.__qualname__}, which has "
            "no stable text to be known by. Filter by a plain value, or leave .cache() out."
        ) from error
