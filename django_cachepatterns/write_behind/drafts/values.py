"""The columns of a draft: what a value becomes for the database, and how it reads from there."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.db import DataError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import FileField, JSONField, Model

from ... import fields
from .wire import Json

WRONG = (ValidationError, ValueError, TypeError, ArithmeticError, AttributeError, RecursionError)
"""What fields raise for a value that is none of theirs."""


class DraftColumn:
    """One column that is drafted.

    Args:
        field: the model's field.
    """

    def __init__(self, field: Any) -> None:
        self.field = field
        self.attname: str = field.attname
        self._target = fields.target(field)
        self._is_json = isinstance(field, JSONField) and (
            type(field).get_db_prep_value is JSONField.get_db_prep_value
        )

    def prepare(self, value: Any, connection: BaseDatabaseWrapper) -> Any:
        """A value as it waits. Raises `ValueError` for one that the column does not take."""
        try:
            prepared = self._prepared(value)
            self._check(prepared, connection)
            self.for_database(prepared, connection)
        except WRONG as error:
            raise ValueError(
                f"{self.field.model._meta.label}.{self.field.name} cannot be {value!r}: "
                f"{_reason(error)}. Save what a {type(self.field).__name__} takes."
            ) from error
        return prepared

    def for_database(self, value: Any, connection: BaseDatabaseWrapper) -> Any:
        """A value that waits as a parameter of a statement."""
        if value is None:
            return None
        if isinstance(value, Json):
            if not self._is_json:
                raise ValueError("it was saved for a JSON column")
            return value.text
        field = self._target
        value = _of_range_type(field, value)
        own = type(field).get_db_prep_save.__module__
        if _base_field(field) is not None or not own.startswith("django."):
            return field.get_db_prep_save(value, connection)
        return field.get_db_prep_value(value, connection, prepared=True)

    def parameter(self, value: Any, connection: BaseDatabaseWrapper) -> Any:
        """The same. Raises `DataError` for what waits, and the column does not take any more."""
        try:
            return self.for_database(value, connection)
        except WRONG as error:
            raise DataError(f"{self.attname}: {_reason(error)}") from error

    def read(self, value: Any, connection: BaseDatabaseWrapper) -> Any:
        """What a query would give, were the value written. Raises `DataError` as `parameter`."""
        field = self._target
        convert = getattr(field, "from_db_value", None)
        try:
            if isinstance(value, Json) and not self._is_json:
                raise ValueError("it was saved for another column")
            found = _stored(field, value, connection)
            if convert is None:
                return found
            return convert(found, self.field.get_col(self.field.model._meta.db_table), connection)
        except WRONG as error:
            raise DataError(f"{self.attname}: {_reason(error)}") from error

    def default(self, connection: BaseDatabaseWrapper) -> Any:
        """What a query gives of a row that was inserted without a value. Raises `LookupError` where
        only the database knows.
        """
        default = self.field.get_default()
        if hasattr(default, "resolve_expression"):
            raise LookupError(f"the default of {self.attname} is the database's")
        return self.read(self._prepared(default), connection)

    def _prepared(self, value: Any) -> Any:
        if hasattr(value, "resolve_expression"):
            raise TypeError("an expression has no value before the database computes it")
        if getattr(value, "_committed", True) is False:
            raise TypeError("its file is not stored yet; save it to its storage first")
        if isinstance(value, Model) and self.field.remote_field is not None:
            value = self._key_of(value)
        if self._is_json:
            if value is None:
                return None
            return Json(json.dumps(value, cls=self.field.encoder, allow_nan=False))
        if isinstance(self.field, FileField) and value is None:
            value = ""  # As a save has it.
        field = self._target
        return plain(field.get_prep_value(field.to_python(value)))

    def _key_of(self, row: Model) -> Any:
        """What a foreign key has of a row. Raises for a row that it cannot refer to."""
        model = self.field.remote_field.model
        if not isinstance(row, model._meta.concrete_model):
            raise TypeError(f"it refers to a {model._meta.label}")
        key = getattr(row, self.field.target_field.attname)
        if key is None:
            raise ValueError("it is not saved yet")
        return key

    def _check(self, value: Any, connection: BaseDatabaseWrapper) -> None:
        """Refuse what the database would: it should be known now, and not when it is flushed."""
        field = self._target
        kind = field.get_internal_type()
        if value is None:
            if not self.field.null:
                raise ValueError("the column has no NULL")
        elif type(value) is int:
            limits = _limits(connection, kind)
            for limit, beyond in zip(limits, (int.__lt__, int.__gt__), strict=True):
                if limit is not None and beyond(value, limit):
                    raise ValueError(f"the limit is {limit}")
        elif type(value) is str and connection.vendor != "sqlite":
            most = field.max_length if kind != "TextField" else None
            if most is not None and len(value) > most:
                raise ValueError(f"it has {len(value)} characters, and the column {most}")
            if connection.vendor == "postgresql" and "\0" in value:
                raise ValueError("the database has no text with a NUL in it")
        elif isinstance(value, Json) and connection.vendor == "postgresql":
            _check_texts(value.text)
        elif isinstance(value, Decimal) and connection.vendor == "postgresql":
            _check_digits(field, value, connection)
        elif (base := _base_field(field)) is not None and isinstance(value, list):
            each = DraftColumn.__new__(DraftColumn)
            each.field, each._target = base, base
            for item in value:
                if item is not None:
                    each._check(base.get_prep_value(item), connection)


def _check_texts(text: str) -> None:
    """Refuse JSON with texts that `jsonb` has not: with a NUL, or with half of a surrogate pair."""
    if "\\u0000" in text and "0000" in _ESCAPE.findall(text):
        raise ValueError("the database has no text with a NUL in it, in JSON neither")
    if "\\ud" in text:
        try:
            json.dumps(json.loads(text), ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise ValueError("the database has no text with half of a surrogate pair") from error


_ESCAPE = re.compile(r"\\(?:u(.{4})|.)")
"""What is escaped in a JSON text: the digits of a `\\u`, or nothing."""


def _check_digits(field: Any, value: Decimal, connection: BaseDatabaseWrapper) -> None:
    """Refuse a number with more digits before its point than the column has. Others round, too."""
    digits, places = (getattr(field, name, None) for name in ("max_digits", "decimal_places"))
    if digits is None or places is None or not value.is_finite():
        return
    if abs(_stored(field, value, connection)) >= Decimal(1).scaleb(digits - places):
        raise ValueError(f"the column has {digits} digits, {places} of them after the point")


def plain(value: Any) -> Any:
    """A value of the very types that codecs carry, instead of enumerations and subclasses."""
    kind = type(value)
    if kind in _EXACT:
        return value
    if isinstance(value, datetime):
        moment = value.astimezone(UTC) if value.tzinfo is not None else value
        rest = (moment.hour, moment.minute, moment.second, moment.microsecond)
        day = (moment.year, moment.month, moment.day)
        return datetime(*day, *rest, tzinfo=moment.tzinfo and UTC, fold=moment.fold)
    for base, convert in _CONVERT:
        if isinstance(value, base):
            return convert(value)
    if hasattr(value, "isempty") and hasattr(value, "bounds"):
        return _plain_range(value)
    return value


_EXACT = frozenset({type(None), bool, int, float, str, bytes, Decimal})
_CONVERT: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    (str, str.__str__),
    (int, int),
    (float, float),
    ((bytes, bytearray, memoryview), bytes),
    (Decimal, Decimal),
    (date, lambda day: date(day.year, day.month, day.day)),
    (time, lambda at: time(at.hour, at.minute, at.second, at.microsecond, at.tzinfo, fold=at.fold)),
    (timedelta, lambda long: timedelta(long.days, long.seconds, long.microseconds)),
    (list, lambda items: [plain(each) for each in items]),
    (tuple, lambda items: [plain(each) for each in items]),
    (dict, lambda items: {plain(key): plain(each) for key, each in items.items()}),
)


def _plain_range(value: Any) -> Any:
    from psycopg.types.range import Range

    if value.isempty:
        return Range(empty=True)
    return Range(plain(value.lower), plain(value.upper), value.bounds)


def _base_field(field: Any) -> Any:
    """The field of an array's items; `None` of anything else."""
    return None if hasattr(field, "range_type") else getattr(field, "base_field", None)


def _of_range_type(field: Any, value: Any) -> Any:
    """Ranges as the class by which the driver knows their type."""
    base = _base_field(field)
    if base is not None and isinstance(value, list):
        return [_of_range_type(base, each) for each in value]
    make = getattr(field, "range_type", None)
    if make is None or not hasattr(value, "isempty"):
        return value
    return make(empty=True) if value.isempty else make(value.lower, value.upper, value.bounds)


def _stored(field: Any, value: Any, connection: BaseDatabaseWrapper) -> Any:
    """What a database makes of a value."""
    if value is None:
        return None
    if isinstance(value, Json):
        return _stored_json(value.text) if connection.vendor == "postgresql" else value.text
    base = _base_field(field)
    if base is not None and isinstance(value, list):
        return [_stored(base, plain(base.get_prep_value(each)), connection) for each in value]
    if isinstance(value, Decimal) and hasattr(field, "decimal_places") and value.is_finite():
        exact = Context(prec=1000 + abs(value.adjusted()))
        rounding = ROUND_HALF_UP if connection.vendor == "postgresql" else ROUND_HALF_EVEN
        return value.quantize(Decimal(1).scaleb(-field.decimal_places), rounding, context=exact)
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(connection.timezone)
    if hasattr(value, "isempty"):
        return _stored_range(value, connection)
    if isinstance(value, dict) and connection.vendor == "postgresql":
        return _ordered(value.items())
    return value


def _stored_json(text: str) -> str:
    """What `jsonb` gives back: numbers are decimals there, so that 1e300 has all its digits, and
    keys are in the order of their lengths.
    """

    def number(token: str) -> int | float:
        digits = format(abs(value) if (value := Decimal(token)).is_zero() else value, "f")
        return float(digits) if "." in digits else int(digits)

    return json.dumps(json.loads(text, parse_float=number, object_pairs_hook=_ordered))


def _ordered(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """A dict in PostgreSQL's order of keys, of `jsonb` and `hstore`: by length, then by bytes."""
    found = {key.encode("utf-8", "surrogatepass"): (key, value) for key, value in pairs}
    return dict(found[key] for key in sorted(found, key=lambda each: (len(each), each)))


def _stored_range(value: Any, connection: BaseDatabaseWrapper) -> Any:
    """What PostgreSQL gives back: ranges of whole things begin with their lower bound and end
    before the upper one, and what holds nothing is empty.
    """
    kind = type(value)
    if value.isempty:
        return value
    lower, upper, bounds = value.lower, value.upper, value.bounds
    step: Any = None
    if any(type(end) is int for end in (lower, upper)):
        step = 1
    elif any(type(end) is date for end in (lower, upper)):
        step = timedelta(days=1)
    if isinstance(lower, datetime) and lower.tzinfo is not None:
        lower = lower.astimezone(connection.timezone)
    if isinstance(upper, datetime) and upper.tzinfo is not None:
        upper = upper.astimezone(connection.timezone)
    starts = bounds[0] == "[" and lower is not None
    ends = bounds[1] == "]" and upper is not None
    if step is not None:
        if lower is not None and not starts:
            lower, starts = lower + step, True
        if ends:
            upper, ends = upper + step, False
    if None not in (lower, upper) and (lower > upper or (lower == upper and not (starts and ends))):
        return kind(empty=True)
    return kind(lower, upper, ("[" if starts else "(") + ("]" if ends else ")"))


def _limits(connection: BaseDatabaseWrapper, kind: str) -> tuple[int | None, int | None]:
    try:
        low, high = connection.ops.integer_field_range(kind)
    except KeyError:
        return None, None
    return low, high


def _reason(error: BaseException) -> str:
    found = getattr(error, "messages", None)
    return (" ".join(map(str, found)) if found else str(error) or type(error).__name__).rstrip(".")
