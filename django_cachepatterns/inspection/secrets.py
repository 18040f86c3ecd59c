"""What nobody has to see: passwords, tokens, the data of sessions, and keys that say them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.views.debug import SafeExceptionReporterFilter

from .. import fields
from . import names
from .names import UnknownKey, name_of
from .payloads import model_of

_FILTER = SafeExceptionReporterFilter()
STARS = _FILTER.cleansed_substitute
_MORE = frozenset({"session_data"})
_SAFE = ("_id", "id")
"""`key_id`, `api_id`: keys of rows are no secrets."""


def is_secret(name: str) -> bool:
    """Whether a column's name is one that Django's own error reports would star out."""
    if name in _MORE:
        return True
    return bool(_FILTER.hidden_settings.search(name)) and not name.endswith(_SAFE)


def without_secrets(value: Any) -> Any:
    """The same data, with the values of such names starred out."""
    if isinstance(value, Mapping):
        return {
            name: STARS
            if isinstance(name, str) and is_secret(name) and each is not None
            else without_secrets(each)
            for name, each in value.items()
        }
    if isinstance(value, list):
        return [without_secrets(each) for each in value]
    return value


def key_without_secrets(key: str, prefix: str) -> str:
    """A key to show to who may not see what it says: who knows a session's key is logged in.

    Starred out are primary keys and values of columns that are secrets by their names; hashes of
    long values say nothing. Other keys come back as they are.

    Args:
        prefix: the setting KEY_PREFIX.
    """
    try:
        name = name_of(key, prefix)
    except UnknownKey:
        return key
    before = key[: len(key) - len(name.rest)]
    if name.kind == names.ROW and _has_secret_pk(name):
        return before + STARS
    if name.kind in (names.LOOKUP, names.INDEX):
        return before + "&".join(map(_starred, name.rest.split("&")))
    return key


def _starred(pair: str) -> str:
    column, _, value = pair.partition("=")
    is_shown = not is_secret(column.removeprefix("~")) or value.startswith("#")
    return pair if is_shown else f"{column}={STARS}"


def _has_secret_pk(name: names.Name) -> bool:
    model = model_of(name)
    if model is None or name.rest.startswith("#"):
        return False
    return is_secret(fields.primary_key(model).attname)
