"""Arguments as parts of cache keys: one text for each value, and templates made of them.

Two calls share a key only where their arguments are of the same types and equal, as with
`functools.lru_cache(typed=True)`; aware datetimes are equal where they are the same instant.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from inspect import Parameter, Signature
from string import Formatter
from typing import Any, NamedTuple
from uuid import UUID

from .exceptions import CachePatternsError, PolicyError

_PLAIN = re.compile(r"[A-Za-z0-9_.@+-]{1,80}\Z")
_MODEL = re.compile(r"[A-Za-z0-9_.@+=#-]{1,80}\Z")
_LIKE_ANOTHER = re.compile(r"(-?[0-9]+|True|False|None)\Z")
_PLAIN_CHARACTERS = re.compile(r"[A-Za-z0-9_.@+=#-]")

REMEDY = "Pass its primary key or a plain value, give it a cache_key, or leave it out of the key."


database_of: list[Callable[[Any], str]] = []
"""Gives the alias that a model instance is written to. The layer that knows Django puts it in."""


class UnstableArgument(CachePatternsError, TypeError):
    """A value that has no stable text was to be part of a key."""


class _Unstable(Exception):
    """Why a value has no stable text; whoever knows its name says so in `UnstableArgument`."""


def stable_text(value: Any, name: str = "The value") -> str:
    """The same text for the same value, in every process, and for no other.

    Short plain ones can be read: `42`, `shoe`, `True`, `None`, `shop.product=42` for a saved
    model instance. All others, and strings that look like those, are a hash that starts with `#`.

    Args:
        value: a str, number, bool, `None`, date or time, `UUID`, bytes, enumeration member, a
            list, tuple, set or dict of these, a saved model instance, or an object with a
            `cache_key` (an attribute, or a method without arguments, that gives a str).
        name: what an error calls it.

    Raises `UnstableArgument`, a `TypeError`, for anything else.
    """
    try:
        return _text(value)
    except _Unstable as error:
        raise UnstableArgument(f"{name} {error} {REMEDY}") from None


def _text(value: Any, avoided: str | None = None) -> str:
    """The text of a value, a hash where it has the avoided character."""
    kind, text = _described(value)
    if (avoided is None or avoided not in text) and _is_readable(kind, text):
        return text
    return _hash(kind, text)


def _is_readable(kind: str, text: str) -> bool:
    if kind == "str":
        return bool(_PLAIN.match(text)) and not _LIKE_ANOTHER.match(text)
    if kind == "model":
        return bool(_MODEL.match(text))
    return kind in ("int", "bool", "none") and bool(_LIKE_ANOTHER.match(text))


def _hash(kind: str, text: str) -> str:
    whole = f"{kind}={text}".encode("utf-8", "surrogatepass")
    return "#" + hashlib.blake2b(whole, digest_size=20).hexdigest()


def _described(value: Any) -> tuple[str, str]:
    """The kind of a value, and a text that no other value of the kind has."""
    exact = type(value)
    if exact is str:
        return "str", value
    if exact in _SCALARS:
        return _SCALARS[exact](value)
    if isinstance(value, type):
        raise _Unstable(f"is the class {_dotted(value)}, which has no stable text.")
    if isinstance(value, Enum):
        text = value.name if isinstance(value.name, str) else _text(value.value)
        return f"enum {_dotted(exact)}", text
    own = getattr(value, "cache_key", None)
    if own is not None:
        return _own(value, own)
    if exact in _CONTAINERS:
        return _contained(exact.__name__, value)
    for base in exact.__mro__:
        if base in _SCALARS:
            return _SCALARS[base](value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return _contained(f"tuple {_dotted(exact)}", value)
    return _model(value)


def _own(value: Any, own: Any) -> tuple[str, str]:
    """What an object's own `cache_key` says."""
    text = own() if callable(own) else own
    if not isinstance(text, str):
        raise _Unstable(
            f"is a {_dotted(type(value))} whose cache_key gave a {type(text).__name__}, not a str."
        )
    return f"object {_dotted(type(value))}", str.__str__(text)


def _contained(kind: str, value: Any) -> tuple[str, str]:
    # No text has a comma or a colon in it, and none is empty.
    try:
        if isinstance(value, dict):
            pairs = sorted((_text(key), _text(each)) for key, each in value.items())
            return kind, ",".join(map(":".join, pairs))
        texts = [_text(each) for each in value]
    except RecursionError:
        raise _Unstable(f"is a {kind} that is nested too deeply, or contains itself.") from None
    except _Unstable as error:
        raise _Unstable(f"is a {kind} with something in it that {error}") from None
    return kind, ",".join(sorted(texts) if isinstance(value, set | frozenset) else texts)


def _model(value: Any) -> tuple[str, str]:
    label = getattr(getattr(value, "_meta", None), "label_lower", None)
    if not isinstance(label, str):
        raise _Unstable(f"is a {_dotted(type(value))}, which has no stable text.")
    if value.pk is None or getattr(getattr(value, "_state", None), "adding", False):
        raise _Unstable(f"is a {label} that is not saved, so that it has no stable text.")
    return "model", f"{label}{_database(value)}={_text(value.pk)}"


def _database(instance: Any) -> str:
    """Which database a row is of, unless it is the default one. A replica's is the primary's."""
    if getattr(getattr(instance, "_state", None), "db", None) in (None, "default"):
        return ""
    aliases = {each(instance) for each in database_of}
    return "".join(f"@{alias}" for alias in aliases if alias != "default")


def _int(value: int) -> tuple[str, str]:
    # Python refuses to write very long ones in decimal.
    return "int", int.__repr__(value) if value.bit_length() < 256 else int.__format__(value, "#x")


def _float(value: float) -> tuple[str, str]:
    if value != value:
        raise _Unstable("is not a number (nan), which equals nothing.")
    return "float", float.__repr__(value + 0.0)  # -0.0 equals 0.0.


def _decimal(value: Decimal) -> tuple[str, str]:
    if value.is_nan():
        raise _Unstable("is not a number (NaN), which equals nothing.")
    if value.is_infinite():
        return "decimal", str(value)
    sign, digits, exponent = value.as_tuple()
    whole = "".join(map(str, digits))
    kept = whole.rstrip("0")
    if not kept:
        return "decimal", "0"
    return "decimal", f"{sign}e{int(exponent) + len(whole) - len(kept)}e{kept.lstrip('0')}"


def _datetime(value: datetime) -> tuple[str, str]:
    if value.utcoffset() is None:
        return "datetime", value.replace(tzinfo=None).isoformat()
    try:
        return "datetime", value.astimezone(UTC).isoformat()
    except OverflowError:  # Its instant is before the year 1 or after 9999.
        return "datetime", value.isoformat()


_Describe = Callable[[Any], tuple[str, str]]
_SCALARS: dict[type[Any], _Describe] = {
    type(None): lambda value: ("none", "None"),
    bool: lambda value: ("bool", str(value)),
    int: _int,
    str: lambda value: ("str", str.__str__(value)),
    float: _float,
    Decimal: _decimal,
    datetime: _datetime,
    date: lambda value: ("date", value.isoformat()),
    time: lambda value: ("time", value.isoformat()),
    timedelta: lambda value: ("duration", f"{value.days},{value.seconds},{value.microseconds}"),
    UUID: lambda value: ("uuid", value.hex),
    bytes: lambda value: ("bytes", bytes.hex(value)),
}
# Only these themselves: a subclass may hold more than its items say, as Django's QueryDict does.
_CONTAINERS = frozenset({list, tuple, set, frozenset, dict})


def _dotted(kind: type[Any]) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


class Binder:
    """The arguments of a call by name, defaults applied.

    Args:
        signature: that of the function.
    """

    def __init__(self, signature: Signature) -> None:
        self.signature = signature
        parameters = signature.parameters
        self._names = tuple(parameters)
        self._defaults = {
            name: each.default
            for name, each in parameters.items()
            if each.default is not Parameter.empty
        }
        kinds = {each.kind for each in parameters.values()}
        self._simple = kinds <= {Parameter.POSITIONAL_OR_KEYWORD}

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
        """Raises `TypeError` as the call itself would."""
        if self._simple and not kwargs:
            # `Signature.bind` takes ten times as long, and hits wait for it.
            values = {**self._defaults, **dict(zip(self._names, args, strict=False))}
            if len(values) == len(self._names) >= len(args):
                return values
        bound = self.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return bound.arguments


class _Field(NamedTuple):
    """A placeholder: a parameter, a path of attributes, and what its text may not have in it."""

    name: str
    path: tuple[str, ...]
    avoided: str | None
    first: bool


class KeyTemplate:
    """A key with placeholders for a function's arguments, such as `search:{query}:{page}`.

    Different arguments give different keys: where a value has the character that tells where it
    ends, it is hashed. Each placeholder is a parameter, or attributes of one (`{user.pk}`).

    Args:
        template: the text; literal braces are doubled.
        signature: that of the function.
        what: what an error calls it.

    Raises `PolicyError` where the template does not fit the signature.
    """

    def __init__(self, template: str, signature: Signature, what: str = "The key") -> None:
        self.template = template
        self._what = f"{what} {template!r}"
        if not isinstance(template, str):
            raise PolicyError(f"{self._what} is no text. Give one, such as 'name:{{parameter}}'.")
        literals, names = self._parse(template)
        parameters = list(signature.parameters)
        self._literals = literals
        self._fields = [
            self._field(name, literals[at + 1], at + 1 == len(names), parameters)
            for at, name in enumerate(names)
        ]

    @property
    def literals(self) -> tuple[str, ...]:
        """The texts before, between and after the placeholders. No value has a colon in it."""
        return tuple(self._literals)

    @property
    def parameters(self) -> frozenset[str]:
        """The names of the parameters that are in it."""
        return frozenset(field.name for field in self._fields)

    def texts_in(self, key: str) -> dict[str, str] | None:
        """The texts of a key's placeholders by parameter; `None` where it is not of this template,
        or where attributes of parameters are in it."""
        if any(field.path for field in self._fields):
            return None
        parts = [re.escape(self._literals[0])]
        for field, literal in zip(self._fields, self._literals[1:], strict=True):
            value = "(.+)" if field.avoided is None else f"([^{re.escape(field.avoided)}]+)"
            parts += (value, re.escape(literal))
        found = re.fullmatch("".join(parts), key)
        if found is None:
            return None
        return dict(zip((field.name for field in self._fields), found.groups(), strict=True))

    def render(self, arguments: Mapping[str, Any]) -> str:
        """The key of a call, see `Binder`. Raises `UnstableArgument`."""
        texts = [self._literals[0]]
        for field, literal in zip(self._fields, self._literals[1:], strict=True):
            texts += (self._value(field, arguments[field.name]), literal)
        return "".join(texts)

    def _value(self, field: _Field, value: Any) -> str:
        for name in field.path:
            try:
                value = getattr(value, name)
            except AttributeError:
                raise UnstableArgument(
                    f"{self._what} asks for {'.'.join((field.name, *field.path))!r}, but a "
                    f"{_dotted(type(value))} has no {name!r}. Pass one that has, or change the "
                    "template."
                ) from None
        if field.first and isinstance(value, type):
            return _hash("class", _dotted(value))  # The `cls` of a class method.
        try:
            return _text(value, field.avoided)
        except _Unstable as error:
            raise UnstableArgument(
                f"{self._what}: argument {'.'.join((field.name, *field.path))!r} {error} {REMEDY}"
            ) from None

    def _parse(self, template: str) -> tuple[list[str], list[str]]:
        """The literal texts, and the placeholders between them."""
        literals, names = [""], []
        try:
            for literal, name, spec, conversion in Formatter().parse(template):
                literals[-1] += literal
                if name is None:
                    continue
                if spec or conversion:
                    raise PolicyError(
                        f"{self._what}: {{{name}}} has a format or a conversion, which may give "
                        f"two values one text. Write {{{name}}}."
                    )
                names.append(name)
                literals.append("")
        except PolicyError:
            raise
        except ValueError as error:
            raise PolicyError(
                f"{self._what} is no template: {error}. Close every brace, and double a brace "
                "that is meant as one: {{ or }}."
            ) from None
        return literals, names

    def _field(self, text: str, after: str, last: bool, parameters: list[str]) -> _Field:
        name, *path = text.split(".")
        if name not in parameters or not all(map(str.isidentifier, path)):
            known = ", ".join(map(repr, parameters)) or "none"
            raise PolicyError(
                f"{self._what}: {{{text}}} is no parameter of the function, nor attributes of "
                f"one. Its parameters: {known}."
            )
        if not last and not after:
            raise PolicyError(
                f"{self._what}: nothing separates {{{text}}} from the next placeholder, so that "
                "different arguments could give one key. Put a colon between them."
            )
        return _Field(
            name, tuple(path), _end_of(after) if not last else None, name == parameters[0]
        )


def _end_of(literal: str) -> str:
    """The character that tells where the value before a literal text ends.

    A value is never empty, has no such character in it, or is a hash: `#` and 40 more. So from
    the key, each value can be told in turn. Best is a character that no readable value has.
    """
    return next((each for each in literal if not _PLAIN_CHARACTERS.match(each)), literal[0])


def default_template(function: Callable[..., Any], signature: Signature) -> str:
    """The template of a function that was given none: its dotted name and all its parameters."""
    name = f"{function.__module__}.{function.__qualname__}".replace("{", "{{").replace("}", "}}")
    return ":".join([name, *(f"{{{parameter}}}" for parameter in signature.parameters)])
