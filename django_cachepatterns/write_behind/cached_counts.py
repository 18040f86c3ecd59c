"""Live values of rows that are cached: one command, and no query.

A row's entry that nobody is writing is the row as the database has it at that moment: that is what
the entry protocol promises. If no sealed batch waits at the same moment, all batches that have
reached the database were taken out of the queue, and so are in the row; and the active batch can
be in no row, because it is sealed first. So the entry and the active batch, read by one script,
are all there is to know.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.db import connections

from .. import conf
from ..exceptions import PolicyError, StoreUnavailable
from ..invalidation import registry
from ..transactions import open_writes, settle
from ..transactions.state import in_transaction
from .members import pks_of

if TYPE_CHECKING:
    from ..reader import Reader
    from .counter import CounterBuffer


def cached_counts(buffer: CounterBuffer, members: Sequence[bytes]) -> dict[bytes, int]:
    """What rows' counts are now, by member; those that cannot be known without a query are left
    out.
    """
    reader = _reader_of(buffer)
    if reader is None:
        return {}
    pks = pks_of(buffer.model, members)
    try:
        found = buffer.server().live(
            buffer.keys(), members, [reader.source.entry_key(pk) for pk in pks]
        )
    except (StoreUnavailable, PolicyError):
        return {}
    if found is None:
        return {}
    entries, waiting, epoch = found
    rows = reader.decoded(pks, entries, epoch)
    (name,) = buffer.columns()
    return {
        member: (rows[pk][name] or 0) + int(waits or 0)
        for pk, member, waits in zip(pks, members, waiting, strict=True)
        if pk in rows
    }


def _reader_of(buffer: CounterBuffer) -> Reader[Any, Any] | None:
    """The reader of the buffer's rows, where their entries are what the database has."""
    if open_writes.count:
        settle(buffer.alias)
    config = conf.config()
    values = config.values
    if not config.enabled or values["BUFFER_CACHE"] != values["CACHE"] or open_writes.count:
        return None
    if not registry.targets_of(buffer.model):
        return None
    alias = buffer.alias
    if conf.policy_of(buffer.model).invalidation not in ("event", "hybrid"):
        return None  # Its rows may be older than the database's.
    if in_transaction(connections[alias]):
        return None  # In a transaction one may see an older moment, or one's own writes.
    return registry.row_reader(buffer.model, alias)
