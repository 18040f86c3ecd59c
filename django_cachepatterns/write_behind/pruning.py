"""Pruning: what concerns batches that no server can bring back any more is forgotten."""

from __future__ import annotations

import time
from datetime import timedelta

from .. import conf
from . import around, ledger, registry
from .tenants import aliases_of


def prune() -> dict[str, int]:
    """Forget batches that reached the database longer ago than the setting LEDGER_KEEP says, and
    what was written around buffers before that.

    Returns how many batches, for each database that a buffer is flushed to. Raises
    `StoreUnavailable` where there are tenants, and the buffer server cannot say which.
    """
    keep = timedelta(seconds=conf.config().values["LEDGER_KEEP"])
    aliases = {alias: None for buffer in registry.buffers() for alias in aliases_of(buffer)}
    for alias in aliases:
        around.prune(alias, time.time() - keep.total_seconds())
    return {alias: ledger.prune(alias, keep) for alias in aliases}
