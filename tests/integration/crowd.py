"""Many threads that do the same at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from django.db import connections


def in_threads(number: int, function: Callable[[], Any]) -> list[Any]:
    """What each thread got; all begin together, with database connections of their own."""
    results: list[Any] = []
    ready = threading.Barrier(number)

    def target() -> None:
        try:
            ready.wait()
            results.append(function())
        finally:
            connections.close_all()

    threads = [threading.Thread(target=target) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(results) == number
    return results
