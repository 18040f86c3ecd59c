"""Flushing: seal, apply, ack.

A batch is applied in one transaction together with its row in the ledger, so it is applied once
whoever tries, and however often: a flusher that dies anywhere leaves it to the next one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.db import DatabaseError, InterfaceError, connections, transaction

from .. import entry, hooks, metrics
from ..conf import as_tenant
from ..exceptions import CachePatternsError, PolicyError, StoreUnavailable
from ..keys import BufferKeys
from ..stores import RedisBuffers
from ..transactions import state, write_log
from . import dead_letters, ledger, refusals
from .reports import Flushed
from .tenants import tenants_of

if TYPE_CHECKING:
    from .buffer import Buffer

CLAIM_TTL = 10_000
"""Milliseconds after which another may flush what a dead flusher has claimed."""
PAUSE, LONGEST_PAUSE = 500, 60_000
"""Milliseconds after a first failure, and at most, in which a buffer is left alone."""


def flush_buffers(buffers: Iterable[Buffer[Any]], *, in_pause: bool = False) -> Flushed:
    """Flush buffers, of all tenants.

    Args:
        in_pause: even those whose last flush has failed a moment ago.
    """
    done = Flushed()
    for buffer in buffers:
        for tenant in _tenants(buffer, done):
            with as_tenant(tenant):
                done += flush_buffer(buffer, in_pause=in_pause)
    return done


def flush_buffer(buffer: Buffer[Any], *, in_pause: bool = True) -> Flushed:
    """Flush one buffer, of the current tenant: whatever waits in it now.

    Raises `PolicyError` inside of a transaction: a batch is taken out of the buffer when it is
    committed, not when it is written.
    """
    connection = connections[buffer.alias]
    if state.in_transaction(connection):
        raise PolicyError(
            f"{buffer.name} cannot be flushed inside of a transaction: should that be rolled back, "
            "what was flushed would be lost. Flush after it, or from a task."
        )
    done = Flushed()
    try:
        server, keys = buffer.server(), buffer.keys()
        with _claimed(buffer, server, keys, in_pause) as token:
            if token is None:
                return Flushed(held=(buffer.name,))
            for batch in _sealed(buffer, server, keys):
                server.claim(keys, token, CLAIM_TTL)
                _flush_batch(buffer, server, keys, batch, done)
    except (DatabaseError, InterfaceError, CachePatternsError) as error:
        reason = f"{type(error).__name__}: {error}".strip()
        metrics.count(buffer.name, "flush_error")
        done += Flushed(errors=((buffer.name, reason),))
    return done


def _tenants(buffer: Buffer[Any], done: Flushed) -> list[str | None]:
    try:
        return tenants_of(buffer)
    except (StoreUnavailable, PolicyError) as error:
        done += Flushed(errors=((buffer.name, str(error)),))
        return []


@contextmanager
def _claimed(
    buffer: Buffer[Any], server: RedisBuffers, keys: BufferKeys, in_pause: bool
) -> Iterator[bytes | None]:
    """Claim a buffer for a block: gives the claimant's token, `None` where another holds it."""
    token = entry.new_token()
    if not server.claim(keys, token, CLAIM_TTL, in_pause=in_pause):
        yield None
        return
    _tell(buffer, "", "claimed")
    try:
        yield token
    except (DatabaseError, InterfaceError):
        server.unclaim(keys, token, PAUSE, LONGEST_PAUSE)
        raise
    except BaseException:
        server.unclaim(keys, token)
        raise
    server.unclaim(keys, token)


def _sealed(buffer: Buffer[Any], server: RedisBuffers, keys: BufferKeys) -> Iterator[str]:
    """The batches that wait: those that were sealed before, and then what was active."""
    found = server.seal(keys, everything=False)
    _tell(buffer, "", "sealed")
    yield from found
    # What was sealed before was resumed first. What comes from now on is the next flush's.
    rest = [batch for batch in server.seal(keys, everything=True) if batch not in found]
    yield from rest


def _flush_batch(
    buffer: Buffer[Any], server: RedisBuffers, keys: BufferKeys, batch: str, done: Flushed
) -> None:
    raw = server.read(keys, batch)
    _tell(buffer, batch, "read")
    changes = buffer.parse(raw)
    try:
        counts = _apply(buffer, batch, changes, carefully=False)
    except DatabaseError as error:
        if not refusals.is_refusal(error):
            raise
        counts = _apply(buffer, batch, changes, carefully=True)
    _tell(buffer, batch, "committed")
    server.ack(keys, batch)
    _tell(buffer, batch, "acked")
    for name, number in (
        ("flushed", counts.rows),
        ("dropped", counts.dropped),
        ("dead_letter", counts.refused),
    ):
        if number:
            metrics.count(buffer.name, name, number)
    done += counts


def _apply(buffer: Buffer[Any], batch: str, changes: dict[Any, Any], *, carefully: bool) -> Flushed:
    """Apply a batch in one transaction, if it has not been.

    Args:
        carefully: in parts that are rolled back by themselves, down to the rows that are refused.
    """
    alias = buffer.alias
    with transaction.atomic(using=alias, durable=True):
        connection = connections[alias]
        if not ledger.record(connection, batch, buffer.name, len(changes)):
            return Flushed()
        _tell(buffer, batch, "recorded")
        if not changes:
            return Flushed(batches=1)
        write_log(alias).begin(buffer.touched(sorted(changes), alias))
        if carefully:
            found, refused = refusals.apply_in_parts(buffer, connection, changes)
            dead_letters.write(alias, buffer, batch, refused)
        else:
            found, refused = buffer.apply(connection, changes), []
        _tell(buffer, batch, "applied")
    dropped = len(changes) - len(refused) - found
    return Flushed(batches=1, rows=found, dropped=dropped, refused=len(refused))


def _tell(buffer: Buffer[Any], batch: str, step: str) -> None:
    for hook in hooks.after_flush_step:
        hook(hooks.Flushing(buffer.name, batch, step))
