"""What Django does to a column's value between the driver and the instance."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from django.db import connections
from django.db.models import Field, JSONField, Model, QuerySet

Converter = Callable[[Any], Any]


class Conversion:
    """The conversion of one column.

    Args:
        name: the column's attname.
        convert: a value of the driver's to one of the instance's.
    """

    def __init__(self, name: str, convert: Converter) -> None:
        self.name = name
        self.convert = convert

    def apply(self, rows: Iterable[dict[str, Any]]) -> None:
        """Convert the column in rows, in place."""
        name, convert = self.name, self.convert
        for row in rows:
            row[name] = convert(row[name])


class JsonConversion(Conversion):
    """What `json.loads` gives, in a fifth of the time: it is half of what a hit converts.

    The two differ only in what msgspec refuses (such as a float beyond the range), and that is left
    to Django.
    """

    def apply(self, rows: Iterable[dict[str, Any]]) -> None:
        name, decode = self.name, _decode_json
        for row in rows:
            value = row[name]
            try:
                row[name] = decode(value)
            except (msgspec.MsgspecError, ValueError, TypeError):
                row[name] = self.convert(value)


_decode_json = msgspec.json.Decoder().decode


def conversions_of(model: type[Model], alias: str) -> list[Conversion]:
    """The conversions of a model's columns; most columns have none."""
    fields = list(model._meta.concrete_fields)
    compiler = QuerySet(model, using=alias).query.get_compiler(using=alias)
    columns = [field.get_col(model._meta.db_table) for field in fields]
    found = compiler.get_converters(columns)
    return [
        _conversion(fields[at], functions, expression, alias)
        for at, (functions, expression) in sorted(found.items())
    ]


def _conversion(
    field: Field[Any, Any], functions: list[Callable[..., Any]], expression: Any, alias: str
) -> Conversion:
    def convert(value: Any) -> Any:
        connection = connections[alias]
        for function in functions:
            value = function(value, expression, connection)
        return value

    plain_json = (
        getattr(type(field), "from_db_value", None) is JSONField.from_db_value
        and field.decoder is None  # type: ignore[attr-defined]
        and len(functions) == 1
        and connections[alias].vendor == "postgresql"
    )
    kind = JsonConversion if plain_json else Conversion
    return kind(field.attname, convert)
