"""Commands that end cleanly when they are told to."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def ended_by_signals(stop: Callable[[], object]) -> Iterator[None]:
    """In this block, SIGTERM and SIGINT call `stop`; a second one does what it did before.

    Elsewhere than in the main thread signals stay as they are.
    """
    before: dict[int, Any] = {}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)
        before.clear()

    def handle(*_: object) -> None:
        restore()
        stop()

    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            before[number] = signal.signal(number, handle)
    except ValueError:
        pass  # Not the main thread.
    try:
        yield
    finally:
        restore()
