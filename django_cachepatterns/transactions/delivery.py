"""The two steps of a write, told to the store. The write goes on whatever the cache answers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial

from .. import conf, hooks, metrics
from ..exceptions import PolicyError, StoreUnavailable
from ..log_events import event, seldom, shown
from ..stores import Store, store_of
from .installable import MOST, Installable, install

logger = logging.getLogger("django_cachepatterns")

SHOWN = 5
"""Keys of a write that are named in the log."""


def begin(keys: Sequence[bytes], writer: bytes) -> None:
    """Mark entries."""
    _deliver("begin", keys, lambda store: store.begin_write(keys, writer, conf.config().mark_ttl))


def announce(keys: Sequence[bytes], writer: bytes) -> None:
    """Mark entries; `settle()` waits until they are."""
    ttl = conf.config().mark_ttl
    done = partial(_begun, keys)
    _deliver("begin", keys, lambda store: store.post_begin_write(keys, writer, ttl, done))


def settle() -> None:
    """Wait for the marks that were announced."""
    _deliver("begin", (), lambda store: store.settle())


def tell(keys: Sequence[bytes]) -> None:
    """Tell the hooks that marks are about to go; raises what they raise."""
    for hook in hooks.before_end_write:
        hook(hooks.Written(tuple(keys)))


def end(keys: Sequence[bytes], writer: bytes, *, committed: bool = False) -> Sequence[bytes]:
    """Take the marks away. Returns the keys that nothing was stored in the place of.

    Args:
        committed: whether what was written may be stored in their place, see `installable`.
    """
    try:
        if committed:
            keys = _installed(keys, writer)
    finally:  # A codec of the project's may raise anything.
        if keys:
            done = partial(_ended, keys)
            _deliver("end", keys, lambda store: store.post_end_write(keys, writer, done))
    return keys


def _installed(keys: Sequence[bytes], writer: bytes) -> Sequence[bytes]:
    """Store again what can be; returns the keys that are still marked."""
    if Installable not in set(map(type, keys)):
        return keys
    chosen = [key for key in keys if isinstance(key, Installable)]
    if len(chosen) > MOST:
        return keys
    try:
        left = set(install(store_of(conf.config()), chosen, writer))
    except (StoreUnavailable, PolicyError):
        return keys  # The end that follows says so, or gets through.
    done = set(chosen) - left
    return [key for key in keys if key not in done]


def drop(keys: Sequence[bytes]) -> None:
    """Delete entries."""
    _deliver("undo", keys, lambda store: store.drop(keys))


def _deliver(step: str, keys: Sequence[bytes], command: Callable[[Store], object]) -> None:
    try:
        command(store_of(conf.config()))
    except (StoreUnavailable, PolicyError) as error:
        _failed(step, keys, error)


def _failed(step: str, keys: Sequence[bytes], error: Exception) -> None:
    metrics.count("", "error")
    level, held_back = seldom(logging.ERROR, "write_undelivered", step)
    logger.log(
        level,
        "Could not %s the write of %d cache entries (%s): %s. They may be stale until they expire.",
        step,
        len(keys),
        _named(keys),
        error,
        extra=event(
            "write_undelivered",
            step=step,
            count=len(keys),
            keys=_shown(keys),
            error=str(error),
            held_back=held_back,
        ),
    )


def _begun(keys: Sequence[bytes], marked: int | StoreUnavailable) -> None:
    if isinstance(marked, StoreUnavailable):
        _failed("begin", keys, marked)


def _ended(keys: Sequence[bytes], lost: int | StoreUnavailable) -> None:
    if isinstance(lost, StoreUnavailable):
        _failed("end", keys, lost)
    elif lost:
        metrics.count("", "lost_mark", lost)
        logger.warning(
            "%d of %d marks were gone when their transaction ended (evicted, flushed, or held "
            "longer than MARK_TTL); the entries were deleted: %s",
            lost,
            len(keys),
            _named(keys),
            extra=event("lost_mark", count=lost, keys=_shown(keys)),
        )


def _named(keys: Sequence[bytes]) -> str:
    shown = ", ".join(_shown(keys))
    return shown if len(keys) <= SHOWN else f"{shown}, ..."


def _shown(keys: Sequence[bytes]) -> list[str]:
    return [shown(key) for key in keys[:SHOWN]]
