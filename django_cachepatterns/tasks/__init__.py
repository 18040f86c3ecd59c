"""Celery tasks, and the schedule of those that are to run by themselves.

Celery finds them by `app.autodiscover_tasks()`. They can be imported from the settings: what they
need of the models is imported when they run.
"""

from __future__ import annotations

from .auditing import audit
from .flushing import flush, flush_due, prune_ledger
from .metrics import roll_up_metrics
from .refreshing import EXPIRES, PAUSE, SENDER, _asked, logger, refresh, send
from .schedule import beat_schedule

__all__ = [
    "EXPIRES",
    "PAUSE",
    "SENDER",
    "_asked",
    "audit",
    "beat_schedule",
    "flush",
    "flush_due",
    "logger",
    "prune_ledger",
    "refresh",
    "roll_up_metrics",
    "send",
]
