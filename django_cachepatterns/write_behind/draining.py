"""A drain at the clean end of a process: what it has counted does not wait for the next flush."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured
from django.db import Error, connections

from .. import at_exit, conf
from ..exceptions import CachePatternsError
from ..log_events import event
from .reports import Flushed
from .troubles import why

if TYPE_CHECKING:
    from .buffer import Buffer

logger = logging.getLogger("django_cachepatterns")

LONGEST = 10.0
"""Seconds that a process waits at its end for the drain."""
TURN = 2.0
"""Seconds of them in which it waits for another flusher: one that ends at the same moment, say."""

_used: dict[str, tuple[Buffer[Any], Any]] = {}
"""Buffers by their names, and the name of the database that each was for."""


def drain_at_exit(buffer: Buffer[Any]) -> None:
    """Flush a buffer when this process ends, unless the setting DRAIN_AT_EXIT says not to."""
    if buffer.name in _used:
        return
    at_exit.register(drain)
    _used[buffer.name] = buffer, _database_of(buffer)


def drain() -> None:
    """Flush the buffers that this process has counted in or flushed. Called at its end.

    It takes at most `LONGEST` seconds, and never raises.
    """
    used = list(_used.values())
    _used.clear()
    if not used or not _is_wanted():
        return
    # At the end of a test run its database is gone, and what it has counted is not for the one
    # whose name is back.
    buffers = [buffer for buffer, database in used if _database_of(buffer) == database]
    # In a thread, so that a database that hangs does not hang the process, and so that the
    # connection that is used is of its own: the main thread's may be in a transaction, or closed.
    thread = threading.Thread(
        target=_drain, args=(buffers,), name="cachepatterns-drain", daemon=True
    )
    try:
        thread.start()
    except RuntimeError:  # Some Pythons start none so late.
        _drain(buffers)
        return
    thread.join(LONGEST)
    if thread.is_alive():
        _say(f"not within {LONGEST:g} seconds")


def _drain(buffers: Sequence[Buffer[Any]]) -> None:
    from .patience import flush_in_turn

    done = Flushed()
    try:
        for buffer in buffers:
            done += flush_in_turn(buffer, TURN)
        connections.close_all()
    except (CachePatternsError, Error, OSError, RuntimeError) as error:
        done += Flushed(errors=(("", f"{type(error).__name__}: {error}".strip()),))
    if done.errors:
        _say(why(done))
    elif done.held:
        _say(f"another flusher is at {', '.join(dict.fromkeys(done.held))}")


def _say(reason: str) -> None:
    logger.warning(
        "Buffers could not be drained at the end of the process (%s); "
        "what waits in them is left to the next flush.",
        reason,
        extra=event("drain_failed", reason=reason),
    )


def _database_of(buffer: Buffer[Any]) -> Any:
    return connections[buffer.alias].settings_dict["NAME"]


def _is_wanted() -> bool:
    try:
        return bool(conf.config().values["DRAIN_AT_EXIT"])
    except (ImproperlyConfigured, AttributeError):
        return False  # The settings are gone already.


# A forked child ends by itself; what its parent has counted is its parent's.
os.register_at_fork(after_in_child=_used.clear)
