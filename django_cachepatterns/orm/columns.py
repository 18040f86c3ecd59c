"""Which kind of value the driver gives for a model's column.

On PostgreSQL the column's type says it. Other drivers give what they like (SQLite: text for a
date, a float for a decimal), so there each value says its own type.
"""

from __future__ import annotations

import re
from datetime import UTC
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Field, Model

from .. import fields
from ..codecs import Column, kinds
from ..codecs.kinds import Kind

_POSTGRESQL: dict[str, Kind] = {
    **dict.fromkeys(
        ("smallint", "integer", "bigint", "serial", "bigserial", "smallserial", "oid"), kinds.INT
    ),
    **dict.fromkeys(("double precision", "real"), kinds.FLOAT),
    "boolean": kinds.BOOL,
    "numeric": kinds.DECIMAL,
    "uuid": kinds.UUID_,
    "bytea": kinds.BYTES,
    "date": kinds.DATE,
    "time": kinds.TIME,
    "time without time zone": kinds.TIME,
    "timestamp": kinds.DATETIME,
    "timestamp without time zone": kinds.DATETIME,
    "interval": kinds.DURATION,
    # Django's backend has these loaded as text.
    **dict.fromkeys(("json", "jsonb", "inet", "cidr"), kinds.TEXT),
    **dict.fromkeys(
        (
            *("varchar", "character varying", "char", "character", "text", "citext", "xml"),
            *("tsvector", "tsquery", "macaddr", "macaddr8", "money", "bit", "varbit", "ltree"),
            *("point", "line", "lseg", "box", "path", "polygon", "circle", "pg_lsn"),
        ),
        kinds.TEXT,
    ),
    **dict.fromkeys(
        (
            *("int4range", "int8range", "numrange", "daterange", "tsrange", "tstzrange"),
            *("hstore", "time with time zone"),
        ),
        kinds.ANY,
    ),
}


def register_column_type(name: str, kind: Kind = kinds.TEXT) -> None:
    """Say what psycopg gives for a PostgreSQL type that the library does not know.

    Args:
        name: the type's name in the database without parameters, such as `mood`.
        kind: one of `codecs.kinds`; `kinds.ANY` for any type that `codecs.tagged` can carry.
    """
    _POSTGRESQL[name.lower()] = kind


def columns_of(model: type[Model], connection: BaseDatabaseWrapper) -> list[Column]:
    """The model's concrete columns, in the order in which Django selects them."""
    return [
        Column(field.attname, kind_of(field, connection) or kinds.ANY)
        for field in model._meta.concrete_fields
    ]


def kind_of(field: Field[Any, Any], connection: BaseDatabaseWrapper) -> Kind | None:
    """The kind of a field's column; `None` where the column's type is not known."""
    if connection.vendor != "postgresql":
        return kinds.ANY
    base, depth = base_type(field, connection)
    if base == "timestamp with time zone":
        # Another zone than UTC is a property of each value.
        utc = connection.timezone is None or connection.timezone is UTC
        kind: Kind | None = kinds.DATETIME if utc else kinds.ANY
    else:
        kind = _POSTGRESQL.get(base)
    for _ in range(depth):
        kind = kind and kinds.list_of(kind)
    return kind


def base_type(field: Field[Any, Any], connection: BaseDatabaseWrapper) -> tuple[str, int]:
    """A column's type without parameters, and how many dimensions of array it has."""
    declared = (field.db_type(connection) or "").lower()
    depth = declared.count("[")
    return re.sub(r"\s*(\(.*?\)|\[\d*\])", "", declared).strip(), depth


def compares_exactly(field: Field[Any, Any], connection: BaseDatabaseWrapper) -> bool:
    """Whether the database finds a row by this field only under the very value it holds.

    Where `Shoe` finds `shoe`, "there is no Shoe" cannot be remembered: a write of `shoe` would
    not know that it contradicts that.
    """
    target = fields.target(field)
    if getattr(target, "db_collation", None):
        return False
    if connection.vendor == "sqlite":
        return True
    base = base_type(target, connection)[0]
    if connection.vendor == "postgresql":
        return base not in ("citext", "char", "character")
    return target.get_internal_type() in _NUMBERS


_NUMBERS = frozenset(
    {
        *("AutoField", "BigAutoField", "SmallAutoField", "IntegerField", "BigIntegerField"),
        *("SmallIntegerField", "PositiveIntegerField", "PositiveBigIntegerField"),
        "PositiveSmallIntegerField",
    }
)
