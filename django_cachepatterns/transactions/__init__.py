"""Marks that follow the database's transactions.

Begin write runs before the statement that writes, or at the latest before the commit; end write
runs after commit, rollback and savepoint rollback.
"""

from __future__ import annotations

from .installable import Installable
from .log import (
    WriteLog,
    open_writes,
    settle,
    settle_all,
    uncommitted,
    write_log,
    writing,
    wrote,
)

__all__ = [
    "Installable",
    "WriteLog",
    "open_writes",
    "settle",
    "settle_all",
    "uncommitted",
    "write_log",
    "writing",
    "wrote",
]
