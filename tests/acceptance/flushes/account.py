"""The end of a run: what waits is flushed, and then the database is counted."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from django_redis import get_redis_connection

from .ground import PKS, counter

PATIENCE = 60.0
NO_BATCHES = (b"claim", b"failures", b"op:")
"""Keys of a buffer that hold no counts."""


@dataclass(frozen=True, slots=True)
class Account:
    """What there is after the last flush.

    Args:
        values: the counts in the database, by row.
        live: the live values, by row.
        pending: what waits.
        drained: batches that were applied by the last flush, and none before.
        ledger: the rows of each batch that was applied, by its id.
        leftovers: keys that still hold counts.
    """

    values: dict[int, int]
    live: dict[int, int]
    pending: int
    drained: int
    ledger: dict[str, int]
    leftovers: list[bytes]


def settle(over: Any) -> Account:
    """Wait until nobody counts any more, flush all that waits, and count."""
    from django_cachepatterns.write_behind.records import LedgerEntry
    from tests.testapp.models import Page

    over.wait()
    buffer = counter()
    drained = _drain(buffer)
    return Account(
        dict(Page.objects.nocache().values_list("pk", "views")),
        buffer.values(PKS),
        buffer.pending(),
        drained,
        {pk.hex: rows for pk, rows in LedgerEntry.objects.values_list("pk", "rows")},
        _leftovers(buffer.keys().root),
    )


def _drain(buffer: Any) -> int:
    ends, batches = time.monotonic() + PATIENCE, 0
    # Not the buffer's own backlog, which leaves out what was applied and not acknowledged.
    while buffer.server().backlog(buffer.keys()):
        done = buffer.flush()
        batches += done.batches
        if time.monotonic() > ends:
            raise RuntimeError(f"What waits cannot be flushed: {done}")
    return batches


def _leftovers(root: bytes) -> list[bytes]:
    client: Any = get_redis_connection("default")
    pattern = root.replace(b"[", b"\\[") + b"*"
    keys = list(client.scan_iter(pattern, count=1000))
    return [key for key in keys if not key.removeprefix(root).startswith(NO_BATCHES)]
