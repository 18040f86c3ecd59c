"""A drain at the clean end of a process: what it has counted does not wait for the next flush."""

from __future__ import annotations

import atexit
import logging
import os
from typing import TYPE_CHECKING, Any

from django.db import connections

from .. import conf

if TYPE_CHECKING:
    from .buffer import Buffer

logger = logging.getLogger("django_cachepatterns")

_used: dict[str, Buffer[Any]] = {}
_pid = 0


def drain_at_exit(buffer: Buffer[Any]) -> None:
    """Flush a buffer when this process ends, unless the setting DRAIN_AT_EXIT says not to."""
    global _pid
    if buffer.name in _used and _pid == os.getpid():
        return
    if _pid != os.getpid():
        # A forked child ends by itself; what its parent has counted is its parent's.
        _used.clear()
        _pid = os.getpid()
        atexit.unregister(drain)
        atexit.register(drain)
    _used[buffer.name] = buffer


def drain() -> None:
    """Flush the buffers that this process has counted in. Called at its end; never raises."""
    from .flushing import flush_buffers

    if not conf.config().values["DRAIN_AT_EXIT"]:
        return
    try:
        flush_buffers(list(_used.values()))
        connections.close_all()
    except Exception as error:  # noqa: BLE001 - a process that ends has nobody to tell
        logger.warning("Buffers could not be drained at the end of the process: %s", error)
