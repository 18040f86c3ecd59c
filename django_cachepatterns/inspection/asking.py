"""What a key's own text says was asked for. Hashes cannot be read back."""

from __future__ import annotations

import re
from typing import Any

from django.core.exceptions import ValidationError

from .. import fields, keys
from ..orm.rows import CachedRows
from .names import Name

_NUMBER = re.compile(r"-?[0-9]+\Z")
_CONSTANTS = {"True": True, "False": False, "None": None}


def asked_in(name: Name) -> Any:
    """What a value's key was made from: see `arguments.stable_text`. Raises `LookupError`."""
    return value_of(name.rest.partition(":")[2])


def value_of(text: str) -> Any:
    """What `arguments.stable_text` gives a text of. Raises `LookupError` for a hash."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _NUMBER.match(text):
        return int(text)
    if text.startswith("#") or "=" in text:
        raise LookupError(f"nothing can be read back from {text!r}")
    return text


def pk_in(name: Name, rows: CachedRows) -> Any:
    """The primary key in a row's key, as entries are asked for by it. Raises `LookupError`."""
    return _value_in(rows.pk, name.rest, lambda pk: keys.row(rows.family, pk), name)


def lookup_values_in(name: Name, rows: CachedRows) -> dict[str, Any]:
    """The values in a lookup's key, by attname. Raises `LookupError`."""
    pairs = dict(pair.partition("=")[::2] for pair in name.rest.split("&"))
    found = {}
    for attname, text in pairs.items():
        field = fields.column(rows.model, attname)
        single = rows.family + f"{attname}={text}".encode()
        found[attname] = _value_in(
            field,
            text,
            lambda value, at=attname: keys.lookup(rows.family, [at], [value]),
            name,
            single,
        )
    return found


def _value_in(field: Any, text: str, key_of: Any, name: Name, key: bytes | None = None) -> Any:
    if text.startswith("#"):
        raise LookupError(f"{name.key} holds a hash, from which nothing can be read back")
    try:
        value = fields.target(field).to_python(text)
        value = field.get_prep_value(value)
        same = key_of(value) == (name.key.encode() if key is None else key)
    except (ValidationError, TypeError, ValueError, ArithmeticError):
        same = False
    if not same:
        raise LookupError(f"{name.key} cannot be read back")
    return value
