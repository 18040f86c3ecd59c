"""Values that nobody has to see: passwords, tokens, the data of sessions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.views.debug import SafeExceptionReporterFilter

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
