"""Values that say their own type: for columns whose type is not known beforehand.

Each type that MessagePack and JSON lack has a code and a text (or bytes) form that gives the
same value back.
"""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from ..exceptions import CodecError

DAMAGE = (
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    RecursionError,
)
"""What reading damaged bytes back may raise, in whatever depth of whichever type."""

UNWRITABLE = (OverflowError, ValueError, RuntimeError)
"""What writing may raise: lone surrogates, numbers of thousands of digits, a list in itself, a dict
that another thread changes meanwhile."""


class Tag(NamedTuple):
    """How one type is carried. `code` is frozen: it is in entries on servers."""

    code: int
    name: str
    to_text: Callable[[Any], str]
    from_text: Callable[[str], Any]


def _datetime_text(value: datetime) -> str:
    zone = value.tzinfo
    if isinstance(zone, zoneinfo.ZoneInfo) and zone.key:
        return f"{value.replace(tzinfo=None).isoformat()}|{value.fold}|{zone.key}"
    if zone is not None and zone is not UTC and type(zone) is not type(UTC):
        raise CodecError(f"a datetime with the zone {zone!r} cannot be carried")
    if zone is None and value.fold:
        return f"{value.isoformat()}|1|"
    return value.isoformat()


def _datetime_from(text: str) -> datetime:
    plain, _, rest = text.partition("|")
    value = datetime.fromisoformat(plain)
    if not rest:
        return value
    fold, _, key = rest.partition("|")
    return value.replace(tzinfo=zoneinfo.ZoneInfo(key) if key else None, fold=int(fold))


def _duration_text(value: timedelta) -> str:
    return f"{value.days},{value.seconds},{value.microseconds}"


def _duration_from(text: str) -> timedelta:
    days, seconds, microseconds = map(int, text.split(","))
    return timedelta(days, seconds, microseconds)


TAGS: dict[type[Any], Tag] = {
    int: Tag(1, "int", str, int),
    Decimal: Tag(2, "decimal", str, Decimal),
    datetime: Tag(3, "datetime", _datetime_text, _datetime_from),
    date: Tag(4, "date", date.isoformat, date.fromisoformat),
    time: Tag(5, "time", time.isoformat, time.fromisoformat),
    timedelta: Tag(6, "duration", _duration_text, _duration_from),
    UUID: Tag(7, "uuid", str, UUID),
    memoryview: Tag(8, "memoryview", lambda view: bytes(view).hex(), lambda text: _view(text)),
}
RANGE_CODE, RANGE_NAME = 9, "range"
PAIRS_CODE = 13
"""A dict with keys that MessagePack has no type for."""


class Group(NamedTuple):
    """How a type that holds other values is carried: as a list of them. `code` is frozen."""

    code: int
    name: str
    make: Callable[[Iterable[Any]], Any]


GROUPS: dict[type[Any], Group] = {
    tuple: Group(10, "tuple", tuple),
    set: Group(11, "set", set),
    frozenset: Group(12, "frozenset", frozenset),
}
GROUP_BY_CODE = {group.code: group for group in GROUPS.values()}
GROUP_BY_NAME = {group.name: group for group in GROUPS.values()}

BY_CODE = {tag.code: tag for tag in TAGS.values()}
BY_NAME = {tag.name: tag for tag in TAGS.values()}


def add(kind: type[Any], tag: Tag) -> None:
    """Carry one more type: for those that this layer may not know."""
    TAGS[kind] = BY_CODE[tag.code] = BY_NAME[tag.name] = tag


def range_parts(value: Any) -> tuple[Any, Any, str | None] | None:
    """`(lower, upper, bounds)` of a psycopg range, `None` of anything else."""
    kind = _range_type()
    if kind is None or type(value) is not kind:
        return None
    return value.lower, value.upper, None if value.isempty else value.bounds


def range_of(lower: Any, upper: Any, bounds: str | None) -> Any:
    """The psycopg range of its parts."""
    kind = _range_type()
    if kind is None:
        raise CodecError("a range needs psycopg, which is not installed")
    return kind(empty=True) if bounds is None else kind(lower, upper, bounds)


def refuse(value: Any) -> CodecError:
    """The error for a value of a type that no codec knows."""
    kind = type(value)
    return CodecError(
        f"a {kind.__module__}.{kind.__qualname__} cannot be carried. Load the column as a plain "
        "value and convert it in from_db_value, or leave the model uncached."
    )


def _view(text: str) -> memoryview:
    return memoryview(bytes.fromhex(text))


def _range_type() -> type[Any] | None:
    try:
        from psycopg.types.range import Range
    except ImportError:
        return None
    return Range
