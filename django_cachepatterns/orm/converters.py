"""What Django does to a column's value between the driver and the instance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from django.db import connections
from django.db.models import Field, JSONField, Model, QuerySet

Converter = Callable[[Any], Any]


def converters_of(model: type[Model], alias: str) -> dict[str, Converter]:
    """The conversions of a model's columns, by attname; most columns have none."""
    fields = list(model._meta.concrete_fields)
    compiler = QuerySet(model, using=alias).query.get_compiler(using=alias)
    columns = [field.get_col(model._meta.db_table) for field in fields]
    found = compiler.get_converters(columns)
    return {
        fields[at].attname: _converter(fields[at], functions, expression, alias)
        for at, (functions, expression) in sorted(found.items())
    }


def _converter(
    field: Field[Any, Any], functions: list[Callable[..., Any]], expression: Any, alias: str
) -> Converter:
    def convert(value: Any) -> Any:
        connection = connections[alias]
        for function in functions:
            value = function(value, expression, connection)
        return value

    plain_json = (
        getattr(type(field), "from_db_value", None) is JSONField.from_db_value
        and field.decoder is None  # type: ignore[attr-defined]
        and len(functions) == 1
    )
    return _json_converter(convert) if plain_json else convert


def _json_converter(otherwise: Converter) -> Converter:
    """What `json.loads` gives, in a fifth of the time: it is half of what a hit converts.

    The two differ only in what msgspec refuses (such as a float beyond the range), and that is left
    to Django.
    """
    decode = msgspec.json.Decoder().decode

    def convert(value: Any) -> Any:
        if type(value) is str:
            try:
                return decode(value)
            except (msgspec.MsgspecError, ValueError):
                pass
        return otherwise(value)

    return convert
