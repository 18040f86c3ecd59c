"""Looks at statements before they run: what was announced is marked before it can be written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import DatabaseError

if TYPE_CHECKING:
    from .log import WriteLog

_READS = ("SELECT", "SAVEPOINT", "RELEASE", "ROLLBACK", "SHOW ", "EXPLAIN", "DECLARE", "FETCH ")


class Watch:
    """An execute wrapper: what was announced is marked before a statement can write it."""

    __slots__ = ("log",)

    def __init__(self, log: WriteLog) -> None:
        self.log = log

    def __call__(self, execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        log = self.log
        if not log.has_announcements() or _only_reads(sql):
            result = execute(sql, params, many, context)
            if log.has_marks() and isinstance(sql, str) and sql.startswith("RELEASE"):
                log.settle()  # A block of a `TestCase` is left.
            return result
        log.flush()
        try:
            return execute(sql, params, many, context)
        except (DatabaseError, ValueError):
            # Also what a driver cannot send: a lone surrogate, a NUL with psycopg 2.
            log.lift()
            raise
        except BaseException:
            # A signal's exception, say: the server may still be at it.
            log.leave_to_lapse()
            raise


def _only_reads(sql: Any) -> bool:
    return isinstance(sql, str) and sql.lstrip(" (\n\t")[:9].upper().startswith(_READS)
