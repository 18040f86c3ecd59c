"""Caching patterns for Django that are correct under load, in one app.

Everything public is imported on first use, so that this module can be imported before the app
registry is ready.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .policy import CachePolicy

__all__ = ["CachePolicy"]
__version__ = "0.1.0"

_HOMES = {"CachePolicy": ".policy"}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(home, __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
