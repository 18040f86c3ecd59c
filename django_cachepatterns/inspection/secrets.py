"""What nobody has to see: passwords, tokens, the data of sessions, and keys that say them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db.models import Model
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


def is_secret_of(model: type[Model] | None, name: str) -> bool:
    """Whether a column of a model has such a name, or holds what one does: a cart's `session_id` is
    the key of a session. Where nobody knows the model, its own name decides."""
    if model is None or is_secret(name):
        return is_secret(name)
    try:
        field = fields.column(model, name)
    except FieldDoesNotExist:
        return False
    return bool(field.concrete) and is_secret(fields.target(field).attname)


def without_secrets(value: Any, model: type[Model] | None = None) -> Any:
    """The same data, with the values of such names starred out.

    Args:
        model: whose columns they are; `None`: of none that is known.
    """
    if isinstance(value, Mapping):
        return {
            name: STARS
            if isinstance(name, str) and is_secret_of(model, name) and each is not None
            else without_secrets(each)
            for name, each in value.items()
        }
    if isinstance(value, list):
        return [without_secrets(each, model) for each in value]
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
        model = model_of(name)
        return before + "&".join(_starred(model, pair) for pair in name.rest.split("&"))
    return key


def _starred(model: type[Model] | None, pair: str) -> str:
    column, _, value = pair.partition("=")
    is_shown = value.startswith("#") or not is_secret_of(model, column.removeprefix("~"))
    return pair if is_shown else f"{column}={STARS}"


def _has_secret_pk(name: names.Name) -> bool:
    model = model_of(name)
    if model is None or name.rest.startswith("#"):
        return False
    return is_secret_of(model, fields.primary_key(model).attname)
