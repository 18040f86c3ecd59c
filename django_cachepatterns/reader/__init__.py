"""The one way in which entries are read, loaded and filled, whatever they are of.

A reader asks for keys; what is missing is loaded under a lease and filled. The caller says how
entries are decoded, loaded and encoded (`sources.Source`), so that rows, lists, functions and
values share this. What is written here once runs in threads and in coroutines, see `steps`.

Each file adds a step: `looking`, `loading`, `refreshing`, and `reader`, which puts them together.
"""

from __future__ import annotations

from .entries import is_mark
from .loading import REFUSED_FOR
from .reader import Reader

__all__ = ["REFUSED_FOR", "Reader", "is_mark"]
