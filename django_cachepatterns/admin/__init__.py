"""The admin: the dashboard, what the database has refused, and what has reached it."""

from __future__ import annotations

from .dashboard import DashboardAdmin
from .dead_letters import DeadLetterAdmin
from .ledger import LedgerEntryAdmin

__all__ = ["DashboardAdmin", "DeadLetterAdmin", "LedgerEntryAdmin"]
