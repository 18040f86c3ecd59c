"""The admin of write-behind: what the database has refused, and what has reached it."""

from __future__ import annotations

from .dead_letters import DeadLetterAdmin
from .ledger import LedgerEntryAdmin

__all__ = ["DeadLetterAdmin", "LedgerEntryAdmin"]
