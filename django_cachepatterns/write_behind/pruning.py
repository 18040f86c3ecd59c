"""Pruning: what concerns batches that no server can bring back any more is forgotten."""

from __future__ import annotations

import time
from datetime import timedelta

from .. import conf
from . import around, ledger, registry
from .tenants import aliases_of, batches_waiting


def prune() -> dict[str, int]:
    """Forget batches that reached the database longer ago than the setting LEDGER_KEEP says, and
    what was written around buffers before that.

    A batch that waits still is not forgotten: who applied it has died before it could take it out,
    and nobody has flushed since.

    Returns how many batches, for each database that a buffer is flushed to. Raises
    `StoreUnavailable` where the buffer server cannot say what waits.
    """
    keep = timedelta(seconds=conf.config().values["LEDGER_KEEP"])
    aliases = {alias: None for buffer in registry.buffers() for alias in aliases_of(buffer)}
    waiting = {batch for buffer in registry.buffers() for batch in batches_waiting(buffer)}
    for alias in aliases:
        around.prune(alias, time.time() - keep.total_seconds())
    return {alias: ledger.prune(alias, keep, waiting) for alias in aliases}
