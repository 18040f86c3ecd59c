"""Flushing: seal, apply, ack.

A batch is applied in one transaction together with its row in the ledger, so it is applied once
whoever tries, and however often: a flusher that dies anywhere leaves it to the next one.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from django.db import DatabaseError, InterfaceError, connections, transaction

from .. import entry, hooks, metrics
from ..conf import as_tenant
from ..exceptions import CachePatternsError, PolicyError, StoreUnavailable
from ..keys import BufferKeys
from ..log_events import event
from ..stores import RedisBuffers
from ..transactions import state, write_log
from . import dead_letters, ledger, refusals
from .dead_letters import UNREADABLE, Unreadable
from .reports import Flushed
from .tenants import tenants_of
from .troubles import reason_of

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

    from .buffer import Buffer

logger = logging.getLogger("django_cachepatterns")

CLAIM_TTL = 10_000
"""Milliseconds after which another may flush what a dead flusher has claimed."""
PAUSE, LONGEST_PAUSE = 500, 60_000
"""Milliseconds after a first failure, and at most, in which a buffer is left alone."""
PASSES = 3
"""How often a flush looks at what waits: for older batches, for what was active, and once more
where a reply was lost. If it looked until nothing waits, it would not end where much is counted."""


def flush_buffers(buffers: Iterable[Buffer[Any]], *, in_pause: bool = False) -> Flushed:
    """Flush buffers, of all tenants.

    Args:
        in_pause: even those whose last flush has failed a moment ago.
    """
    done = Flushed()
    for buffer in buffers:
        for tenant in _tenants(buffer, done):
            with ExitStack() as stack:
                try:
                    stack.enter_context(as_tenant(tenant))
                except PolicyError as error:
                    done += Flushed(errors=((buffer.name, str(error)),))
                    continue
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
        with _claimed(buffer, server, keys, in_pause) as claim:
            if claim is None:
                return Flushed(held=(buffer.name,))
            _flush_batches(buffer, server, keys, claim, done)
        buffer.after_flush()
    except _ClaimLost:
        done += Flushed(held=(buffer.name,))
    except (DatabaseError, InterfaceError, CachePatternsError) as error:
        metrics.count(buffer.name, "flush_error")
        done += Flushed(errors=((buffer.name, reason_of(error)),))
        _close_if_broken(connection)
    return done


def _close_if_broken(connection: BaseDatabaseWrapper) -> None:
    """Have the next transaction connect again.

    A connection that broke while it was made breaks each later transaction at its BEGIN, where
    Django does not close it. Outside of requests and tasks nobody else would.
    """
    if connection.in_atomic_block or connection.connection is None:
        return
    if connection.errors_occurred and not connection.is_usable():
        connection.close()


def _tenants(buffer: Buffer[Any], done: Flushed) -> list[str | None]:
    try:
        return tenants_of(buffer)
    except (StoreUnavailable, PolicyError) as error:
        done += Flushed(errors=((buffer.name, str(error)),))
        return []


class _ClaimLost(Exception):
    """The claim has lapsed, and another holds it."""


class _Claim:
    """The right to flush a buffer, which is renewed while there is work."""

    def __init__(self, server: RedisBuffers, keys: BufferKeys) -> None:
        self.server, self.keys = server, keys
        self.token = entry.new_token()
        self._until = 0.0

    def take(self, in_pause: bool) -> bool:
        """Returns whether it was taken, or still is."""
        self._until = time.monotonic() + CLAIM_TTL / 2000
        return self.server.claim(self.keys, self.token, CLAIM_TTL, in_pause=in_pause)

    def renew(self) -> None:
        """Hold it for longer, where it is about to lapse. Raises `_ClaimLost` where another does.

        Nothing would be applied twice then, for that is the ledger's business. But who rebuilds a
        leaderboard under a claim relies on it that what is counted meanwhile is not applied.
        """
        if time.monotonic() > self._until and not self.take(in_pause=True):
            raise _ClaimLost

    def give_up(self, pause: int = 0) -> None:
        """Let another flush; after a failure not at once."""
        self.server.unclaim(self.keys, self.token, pause, LONGEST_PAUSE)


@contextmanager
def _claimed(
    buffer: Buffer[Any], server: RedisBuffers, keys: BufferKeys, in_pause: bool
) -> Iterator[_Claim | None]:
    """Claim a buffer for a block; gives `None` where another holds it."""
    claim = _Claim(server, keys)
    if not claim.take(in_pause):
        yield None
        return
    _tell(buffer, "", "claimed")
    try:
        yield claim
    except (DatabaseError, InterfaceError):
        claim.give_up(PAUSE)
        raise
    except BaseException:
        claim.give_up()
        raise
    claim.give_up()


def _flush_batches(
    buffer: Buffer[Any], server: RedisBuffers, keys: BufferKeys, claim: _Claim, done: Flushed
) -> None:
    """Flush what waits, oldest first. What is counted from now on is the next flush's."""
    for _ in range(PASSES):
        # Where older batches wait, those are flushed first, and what is active after them.
        all_sealed, waiting = server.seal(keys)
        _tell(buffer, "", "sealed")
        _flush_each(buffer, server, keys, claim, deque(waiting), done)
        if all_sealed:
            break


def _flush_each(
    buffer: Buffer[Any],
    server: RedisBuffers,
    keys: BufferKeys,
    claim: _Claim,
    waiting: deque[str],
    done: Flushed,
) -> None:
    """Flush sealed batches; the next one is fetched while one is applied."""
    reading = server.read(keys, waiting[0]) if waiting else None
    while reading is not None:
        batch = waiting.popleft()
        raw = reading()
        _tell(buffer, batch, "read")
        reading = server.read(keys, waiting[0]) if waiting else None
        claim.renew()
        if not raw:
            _take_out_empty(buffer, server, keys, batch)
            continue
        changes, unreadable = _parsed(buffer, raw)
        counts = _applied(buffer, batch, changes, unreadable)
        _tell(buffer, batch, "committed")
        buffer.landed(changes, counts)
        acked = server.ack(keys, batch)
        _tell(buffer, batch, "acked")
        _count(buffer, counts)
        _say_refused(buffer, batch, counts.refused)
        done += counts
        if reading is None:
            acked()


def _take_out_empty(
    buffer: Buffer[Any], server: RedisBuffers, keys: BufferKeys, batch: str
) -> None:
    """A batch that holds nothing: another flusher has taken it out, or the server has evicted it.

    Not said in the ledger: a server that is restored may bring it back.
    """
    if server.ack(keys, batch)():
        metrics.count(buffer.name, "lost_batch")
        logger.error(
            "%s: batch %s was gone before it was flushed. The buffer server has evicted it, or it "
            "was deleted. Set maxmemory-policy noeviction on the server of BUFFER_CACHE.",
            buffer.name,
            batch,
            extra=event("lost_batch", buffer=buffer.name, batch=batch),
        )


def _say_refused(buffer: Buffer[Any], batch: str, refused: int) -> None:
    if refused:
        logger.error(
            "%s: the database refused %d %s now. See why in the admin, and retry there or with "
            "retry_dead_letters.",
            buffer.name,
            refused,
            "change, which is a dead letter" if refused == 1 else "changes, which are dead letters",
            extra=event("dead_letter", buffer=buffer.name, batch=batch, count=refused),
        )


def _parsed(
    buffer: Buffer[Any], raw: Mapping[bytes, bytes]
) -> tuple[dict[Any, Any], list[Unreadable]]:
    """What a batch holds, and what of it cannot be read: after a deploy that changed a key, say."""
    try:
        return buffer.parse(raw), []
    except UNREADABLE:
        pass
    readable, unreadable = {}, []
    for member, value in raw.items():
        try:
            buffer.parse({member: value})
        except UNREADABLE as error:
            unreadable.append(Unreadable(member, value, f"{type(error).__name__}: {error}"))
        else:
            readable[member] = value
    return buffer.parse(readable), unreadable


def _count(buffer: Buffer[Any], counts: Flushed) -> None:
    for name, number in (
        ("flushed", counts.rows),
        ("dropped", counts.dropped),
        ("dead_letter", counts.refused),
    ):
        if number:
            metrics.count(buffer.name, name, number)


def _applied(
    buffer: Buffer[Any], batch: str, changes: dict[Any, Any], unreadable: Sequence[Unreadable]
) -> Flushed:
    try:
        return _apply(buffer, batch, changes, unreadable, carefully=False)
    except DatabaseError as error:
        if not refusals.is_refusal(error):
            raise
        return _apply(buffer, batch, changes, unreadable, carefully=True)


def _apply(
    buffer: Buffer[Any],
    batch: str,
    changes: dict[Any, Any],
    unreadable: Sequence[Unreadable],
    *,
    carefully: bool,
) -> Flushed:
    """Apply a batch in one transaction, if it has not been.

    Args:
        carefully: in parts that are rolled back by themselves, down to the rows that are refused.
    """
    alias = buffer.alias
    with transaction.atomic(using=alias, durable=True):
        connection = connections[alias]
        if not ledger.record(connection, batch, buffer.name, len(changes) + len(unreadable)):
            # Who applied it may have died before it could tell the cache, and its marks be gone.
            write_log(alias).begin(buffer.touched(list(changes), alias))
            return Flushed()
        _tell(buffer, batch, "recorded")
        dead_letters.write_unreadable(alias, buffer, batch, unreadable)
        log = write_log(alias)
        log.begin_soon(buffer.touched(list(changes), alias))
        if carefully:
            found, refused = refusals.apply_in_parts(buffer, connection, changes)
            dead_letters.write(alias, buffer, batch, refused)
        else:
            found, refused = buffer.apply(connection, changes), []
        log.settle_marks()
        _tell(buffer, batch, "applied")
    dropped = len(changes) - len(refused) - found
    kept = len(refused) + len(unreadable)
    return Flushed(batches=1, rows=found, dropped=dropped, refused=kept)


def _tell(buffer: Buffer[Any], batch: str, step: str) -> None:
    for hook in hooks.after_flush_step:
        hook(hooks.Flushing(buffer.name, batch, step))
