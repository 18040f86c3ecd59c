"""The auditor: does the cache say what the database says?

It compares cached rows, absences and written-through values with the database, while readers and
writers go on; see `docs/how-to/audit.md`.
"""

from __future__ import annotations

from .auditing import Progress, audit
from .keeping import last, last_complete, recent
from .reads import Watch, watch, watching
from .report import PROBLEMS, AuditReport, Difference, Finding

__all__ = [
    "PROBLEMS",
    "AuditReport",
    "Difference",
    "Finding",
    "Progress",
    "Watch",
    "audit",
    "last",
    "last_complete",
    "recent",
    "watch",
    "watching",
]
