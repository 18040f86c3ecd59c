"""What waits to be written behind, and what the database has refused."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from django.db import connections
from django.db.models import Count

from ..write_behind import dead_letters, registry
from ..write_behind.tenants import waiting


class Backlog(NamedTuple):
    """What waits in one buffer.

    Args:
        buffer: its name.
        rows: how many rows wait, of all tenants.
        oldest: seconds that the oldest batch has waited; 0 where nothing waits.
    """

    buffer: str
    rows: int
    oldest: float


def backlogs() -> list[Backlog]:
    """What waits in each buffer. Raises `StoreUnavailable` and `PolicyError`."""
    found = []
    for buffer in registry.buffers():
        batches = waiting(buffer)
        rows = sum(each.rows for each in batches)
        oldest = max((each.age for each in batches), default=0) / 1000
        found.append(Backlog(buffer.name, rows, oldest))
    return found


def letters() -> Counter[str]:
    """How many dead letters each buffer has; 0 for one that has none.

    Raises Django's database errors, `StoreUnavailable` and `PolicyError`.
    """
    counts = Counter({buffer.name: 0 for buffer in registry.buffers()})
    for found in dead_letters.waiting():
        connection = connections[found.db]
        was_open = connection.connection is not None
        try:
            each = found.order_by().values_list("buffer").annotate(number=Count("pk"))
            counts.update(dict(each))
        finally:
            if not was_open:
                # Probes come in threads of their own, which nobody ends a request in.
                connection.close()
    return counts
