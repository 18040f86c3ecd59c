"""What a thread leaves behind when it ends."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from typing import Any


class _Life:
    """Dies with the thread-local namespace that holds it, which dies with its thread."""

    __slots__ = ("__weakref__",)


def when_thread_ends(namespace: threading.local, function: Callable[..., Any], *args: Any) -> None:
    """Call a function when the current thread ends, or the namespace is dropped.

    Not at the interpreter's exit.
    """
    life = namespace.__dict__["_life"] = _Life()
    weakref.finalize(life, function, *args).atexit = False
