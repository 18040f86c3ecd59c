"""Caching patterns for Django that are correct under load, in one app.

Everything public is imported on first use, so that this module can be imported before the app
registry is ready.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .cache_aside import cache_aside
    from .invalidation.invalidate import invalidate
    from .managers import read_through
    from .policy import CachePolicy
    from .read_through import ReadThrough
    from .write_through import WriteThrough

__all__ = [
    "CachePolicy",
    "ReadThrough",
    "WriteThrough",
    "cache_aside",
    "invalidate",
    "read_through",
]
__version__ = "0.1.0"

_HOMES = {
    "CachePolicy": ".policy",
    "ReadThrough": ".read_through",
    "WriteThrough": ".write_through",
    "cache_aside": ".cache_aside",
    "invalidate": ".invalidation.invalidate",
    "read_through": ".managers",
}


class _Package(ModuleType):
    """Keeps a pattern's name for its function, though its file has the same name.

    Importing `django_cachepatterns.cache_aside` would otherwise put the module there.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


def __getattr__(name: str) -> Any:
    if name == "tasks":  # For the settings: `django_cachepatterns.tasks.beat_schedule()`.
        return import_module(".tasks", __name__)
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(home, __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


sys.modules[__name__].__class__ = _Package
