"""SQL statements as they are executed."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

from django.db import connection


class Statements:
    """Counts the statements of this process's connection, and knows when the last ones ran."""

    def __init__(self) -> None:
        self.count = 0
        self.began = 0.0
        self.ended = 0.0
        self._first = True

    def mark(self) -> int:
        """Start a new span; the count so far."""
        self._first = True
        return self.count

    def __call__(self, execute: Callable[..., Any], *arguments: Any) -> Any:
        self.count += 1
        # The clock of the whole machine: spans of several processes are compared.
        if self._first:
            self.began = time.monotonic()
            self._first = False
        try:
            return execute(*arguments)
        finally:
            self.ended = time.monotonic()


@contextlib.contextmanager
def counted_statements() -> Iterator[Statements]:
    """Count what is truly sent to the database within the block."""
    statements = Statements()
    with connection.execute_wrapper(statements):
        yield statements
