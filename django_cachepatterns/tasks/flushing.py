"""Flushes of write-behind buffers, and what keeps their ledger small."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from celery import shared_task
from celery.signals import worker_process_shutdown

from .. import at_exit

if TYPE_CHECKING:
    from ..write_behind.buffer import Buffer

EXPIRES = 60
"""Seconds after which a flush that no worker has taken is dropped, unless who asks says otherwise:
others have been asked for since."""


@shared_task(  # type: ignore[untyped-decorator]
    name="django_cachepatterns.flush", ignore_result=True, expires=EXPIRES
)
def flush(name: str) -> dict[str, int]:
    """Flush one write-behind buffer, of all tenants. Returns how much was done.

    A buffer that another flusher is at, or whose last flush has failed a moment ago, is left alone.

    Args:
        name: the buffer's, such as `shop.Product.views`.

    Raises `PolicyError` for a name that no buffer has.
    """
    from ..write_behind import registry

    (buffer,) = registry.chosen([name])
    return _flushed(buffer)


@shared_task(  # type: ignore[untyped-decorator]
    name="django_cachepatterns.flush_due", ignore_result=True, expires=EXPIRES
)
def flush_due(tick: float = 1.0) -> dict[str, dict[str, int]]:
    """Flush the buffers whose last turn is as long ago as their `flush_every` says.

    Args:
        tick: seconds between calls.

    Returns how much was done, by the names of the buffers that were due.
    """
    from ..exceptions import CachePatternsError
    from ..write_behind import registry
    from ..write_behind.reports import Flushed
    from ..write_behind.troubles import LOGGED

    done = {}
    for buffer in registry.buffers():
        try:
            due = _is_due(buffer, tick)
        except CachePatternsError as error:
            LOGGED.hear(buffer.name, Flushed(errors=((buffer.name, str(error)),)))
        else:
            if due:
                done[buffer.name] = _flushed(buffer)
    return done


@shared_task(  # type: ignore[untyped-decorator]
    name="django_cachepatterns.prune_ledger", ignore_result=True
)
def prune_ledger() -> dict[str, int]:
    """Forget batches that reached the database longer ago than the setting LEDGER_KEEP says.

    Returns how many, by database.
    """
    from ..write_behind.pruning import prune

    return prune()


def _flushed(buffer: Buffer[Any]) -> dict[str, int]:
    from ..write_behind.draining import drain_at_exit
    from ..write_behind.flushing import flush_buffers
    from ..write_behind.troubles import LOGGED

    # A worker that is shut down leaves nothing for the next one to find.
    drain_at_exit(buffer)
    done = LOGGED.hear(buffer.name, flush_buffers([buffer]))
    return {
        "batches": done.batches,
        "rows": done.rows,
        "dropped": done.dropped,
        "refused": done.refused,
    }


def _is_due(buffer: Buffer[Any], tick: float) -> bool:
    """Take the buffer's turn, if it has come.

    Half a tick is let off: a turn that lapses just after a tick would wait for the next one.
    """
    from ..conf import as_tenant

    every = timedelta(seconds=max(buffer.flush_every - tick / 2, tick / 2))
    with as_tenant(None):
        return buffer.server().take_turn(
            buffer.keys().due, max(1, every // timedelta(milliseconds=1))
        )


def _end(**kwargs: Any) -> None:
    """The processes of a prefork pool end without `atexit`."""
    at_exit.run()


worker_process_shutdown.connect(_end, weak=False, dispatch_uid="django_cachepatterns.end")
