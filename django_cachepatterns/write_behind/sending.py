"""Sending a change to a buffer, and what follows from each answer."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import conf, entry, metrics
from ..exceptions import BufferFull, OutcomeUnknown, PolicyError, StoreUnavailable
from ..stores import RedisBuffers, buffers_of
from ..stores.buffers import FULL

if TYPE_CHECKING:
    from .buffer import Buffer

TRIES = 3
"""How often an operation with an id is sent before its caller is told that nobody knows."""
TOLD = 60.0
"""Seconds for which the buffer server is taken to know of a tenant."""


class Given(NamedTuple):
    """What the caller says of an operation.

    Args:
        strict: whether it has an id.
        operation: an id of the caller's own.
        part: where in the operation this part of it begins; each is remembered by itself.
        is_new: whether the id was made just now, so that nothing was sent under it before.
    """

    strict: bool
    operation: str | None = None
    part: int = 0
    is_new: bool = False

    @property
    def may_be_repeated(self) -> bool:
        """Whether it may have been carried out before, or may be tried again after this."""
        return self.operation is not None and not self.is_new


def sent(
    buffer: Buffer[Any],
    script: str,
    arguments: Sequence[bytes],
    given: Given,
    more_keys: Sequence[bytes] = (),
) -> int | None:
    """Have a script write into a buffer. Returns what it answers, `None` where nobody has heard.

    Where that is `None` or `FULL`, the database has to be told.

    Raises `BufferFull` where the buffer is and says to raise, or where the caller has given an id:
    the database does not know it. `OutcomeUnknown` where an operation has an id and nobody knows
    whether it was carried out.
    """
    operation = given.operation
    if operation == "":
        raise ValueError(f"{buffer.name}: the id of an operation is empty. Give one, or None.")
    if operation is None and given.strict:
        operation = new_operation()
    try:
        outcome = _sent(buffer, script, arguments, operation, given.part, more_keys)
    except OutcomeUnknown:
        if operation is not None:
            raise
        metrics.count(buffer.name, "unknown")
        return None
    except (StoreUnavailable, PolicyError) as error:
        if not given.may_be_repeated:
            return None
        raise OutcomeUnknown(
            f"{buffer.name}: the buffer server cannot be reached ({error}), so nobody knows "
            f"whether operation {given.operation!r} was carried out before. Try it again later.",
            given.operation,
        ) from error
    if outcome != FULL:
        return outcome
    metrics.count(buffer.name, "full")
    if buffer.when_full == "raise":
        raise BufferFull(
            f"{buffer.name}: {buffer.max_pending} rows wait to be flushed, as many as max_pending "
            "lets. Flush more often, or raise max_pending."
        )
    if given.may_be_repeated:
        raise BufferFull(
            f"{buffer.name}: {buffer.max_pending} rows wait to be flushed, as many as max_pending "
            f"lets, and operation {given.operation!r} cannot be written to the database at once: "
            "tried again, it would count twice. Try it again after a flush."
        )
    return FULL


def new_operation() -> str:
    """An id for an operation."""
    return entry.new_token().hex()


def _sent(
    buffer: Buffer[Any],
    script: str,
    arguments: Sequence[bytes],
    operation: str | None,
    part: int,
    more_keys: Sequence[bytes],
) -> int:
    config = conf.config()
    server, keys = buffers_of(config), buffer.keys_in(config)
    if config.tenant is not None:
        _tell_tenant(config, server)
    if operation is None:
        return server.write(script, keys, buffer.limits, arguments, b"", more_keys)
    token = (f"{operation}/{part}" if part else operation).encode()
    for tries in range(1, TRIES + 1):
        try:
            return server.write(script, keys, buffer.limits, arguments, token, more_keys)
        except OutcomeUnknown as error:
            unknown = error
        except StoreUnavailable:
            # It cannot be reached now, but an earlier try may have been carried out.
            if tries == 1:
                raise
    raise OutcomeUnknown(
        f"{buffer.name}: the buffer server did not answer ({unknown}), so nobody knows whether "
        f"operation {operation!r} was carried out. Try again with operation={operation!r}: within "
        "ten minutes it counts once, however often it is tried.",
        operation,
    ) from unknown


def _tell_tenant(config: conf.Config, server: RedisBuffers) -> None:
    """Have flushers know of the current tenant; they have none of their own."""
    tenant = config.current_tenant()
    if tenant is None:
        return
    # Another run of the server may have forgotten them.
    told: dict[tuple[str, bytes], float] = config.remember("told tenants", dict)
    if told.get((tenant, server.epoch), 0.0) < time.monotonic():
        server.add_member(config.tenants_key(), tenant.encode())
        told[tenant, server.epoch] = time.monotonic() + TOLD
