"""A cache whose library is not installed."""

from __future__ import annotations

from typing import Any


class BrokenCache:
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise ImportError("No module named 'pymemcache'")
