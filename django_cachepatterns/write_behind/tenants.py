"""Whose buffers there are, and what waits in all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from .. import conf
from ..conf import as_tenant
from ..exceptions import PolicyError

if TYPE_CHECKING:
    from ..stores.buffers import Waiting
    from .buffer import Buffer


def of_now(act: Callable[[], None]) -> Callable[[], None]:
    """The same, to be done later: for the tenant of now, and not of the moment of a commit."""
    config = conf.config()
    if config.tenant is None:
        return act
    tenant = config.current_tenant()

    def later() -> None:
        with as_tenant(tenant):
            act()

    return later


def tenants_of(buffer: Buffer[Any]) -> list[str | None]:
    """The tenants that have counted in a buffer, and `None` for what is nobody's in particular.

    Raises `StoreUnavailable` and `PolicyError`.
    """
    config = conf.config()
    if config.tenant is None:
        return [None]
    found = buffer.server().members_of(config.tenants_key())
    return [None, *sorted(tenant.decode() for tenant in found)]


def aliases_of(buffer: Buffer[Any]) -> list[str]:
    """The databases that a buffer is flushed to: a router may send each tenant to its own.

    Raises `StoreUnavailable` and `PolicyError` where there are tenants, and nobody can say which.
    """
    return list(dict.fromkeys(buffer.alias for _ in _as_each_tenant(buffer)))


def batches_waiting(buffer: Buffer[Any]) -> set[str]:
    """The ids of the batches that wait in a buffer, of all tenants.

    Raises `StoreUnavailable` and `PolicyError`.
    """
    return {each.batch for each in waiting(buffer)}


def waiting(buffer: Buffer[Any]) -> list[Waiting]:
    """The batches that wait in a buffer, of all tenants; the database is not asked.

    Raises `StoreUnavailable` and `PolicyError`.
    """
    return [
        each for _ in _as_each_tenant(buffer) for each in buffer.server().backlog(buffer.keys())
    ]


def _as_each_tenant(buffer: Buffer[Any]) -> Iterator[None]:
    """Be one tenant after the other, in the body of a loop."""
    for tenant in tenants_of(buffer):
        with ExitStack() as stack:
            try:
                stack.enter_context(as_tenant(tenant))
            except PolicyError:
                continue  # It is gone, and its database with it; a flush says so.
            yield


def rows_waiting(buffer: Buffer[Any]) -> int:
    """The rows that wait in a buffer, of all tenants. Raises `StoreUnavailable` and `PolicyError`.

    The database is not asked: it may be what is away.
    """
    rows = 0
    for tenant in tenants_of(buffer):
        with as_tenant(tenant):
            rows += sum(each.rows for each in buffer.server().backlog(buffer.keys()))
    return rows
