"""Plain callables that are told what the protocol does.

A hook is a callable in a tuple: no hook costs a look at an empty tuple. It is called with one
frozen details object, in the thread that does the work, and what it raises reaches the caller.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Loaded:
    """Rows or values were loaded and are about to be offered to the cache.

    `keys` are those that a lease is held on; `publish` says whether a fill will be tried.
    """

    keys: tuple[bytes, ...]
    publish: bool


@dataclass(frozen=True, slots=True)
class Written:
    """A write is over (committed, rolled back, or failed) and its marks are about to go."""

    keys: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Read:
    """Keys were read.

    Args:
        family: as metrics call it.
        source: what was read: the `sources.Source`.
        keys: the entries' keys.
        outcomes: what became of each, in the same order: one of `metrics.outcomes.SERVED` or
            `UNSERVED`.
        seconds: how long it took, loads included; 0 where the read was left to Django.
    """

    family: str
    source: Any
    keys: tuple[bytes, ...]
    outcomes: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Loading:
    """Keys are about to be loaded.

    Args:
        family: as metrics call it.
        source: what is read: the `sources.Source`.
        keys: the entries' keys.
    """

    family: str
    source: Any
    keys: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class LoadDone:
    """Keys were loaded from the database, or by a function, or could not be.

    Args:
        family: as metrics call it.
        source: what was read: the `sources.Source`.
        keys: the entries' keys.
        started: when, in seconds since the epoch.
        seconds: how long it took.
        error: what was raised, if anything was.
    """

    family: str
    source: Any
    keys: tuple[bytes, ...]
    started: float
    seconds: float
    error: BaseException | None = None


@dataclass(frozen=True, slots=True)
class Invalidated:
    """Entries and tags were invalidated.

    Args:
        names: their keys; of a `forget`, what the keys begin with.
        reason: `commit` or `rollback` of a transaction that wrote them, `invalidate` where it was
            asked for, `forget` where all entries of a model were dropped.
    """

    names: tuple[bytes, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Flushing:
    """A flush of a write-behind buffer has come to a step.

    `step` is one of `FLUSH_STEPS`, `batch` the id of the batch, empty where it is not of one.
    """

    buffer: str
    batch: str
    step: str


FLUSH_STEPS = ("claimed", "sealed", "read", "recorded", "applied", "committed", "acked")
"""The steps of a flush, each told of when it is done. `recorded` and `applied` are in the open
transaction of the database."""

refreshers: dict[str, Callable[[bytes, dict[str, Any]], object]] = {}
"""Who loads stale values elsewhere, by the policy's `refresh`; told an entry's key and recipe."""

before_fill: tuple[Callable[[Loaded], Any], ...] = ()
before_end_write: tuple[Callable[[Written], Any], ...] = ()
after_flush_step: tuple[Callable[[Flushing], Any], ...] = ()
after_read: tuple[Callable[[Read], Any], ...] = ()
around_load: tuple[Callable[[Loading], AbstractContextManager[Any]], ...] = ()
after_load: tuple[Callable[[LoadDone], Any], ...] = ()
after_invalidation: tuple[Callable[[Invalidated], Any], ...] = ()

_lock = threading.Lock()


def add(name: str, hook: Callable[[Any], Any]) -> None:
    """Have a hook called from now on, in this process.

    Args:
        name: of one of the tuples above, such as `after_read`.
    """
    with _lock:
        globals()[name] = (*globals()[name], hook)


def remove(name: str, hook: Callable[[Any], Any]) -> None:
    """Have a hook called no more; nothing where it is not there."""
    with _lock:
        # By equality: a bound method is another object each time that it is asked for.
        globals()[name] = tuple(each for each in globals()[name] if each != hook)


@contextmanager
def around(loading: Loading) -> Iterator[None]:
    """A load is the block: in what each of `around_load` gives. None of them ends its error."""
    failed: BaseException | None = None
    with ExitStack() as each:
        for hook in around_load:
            each.enter_context(hook(loading))
        try:
            yield
        except BaseException as error:
            failed = error
            raise
    if failed is not None:
        raise failed


@contextmanager
def listening(
    *,
    before_fill: Callable[[Loaded], Any] | None = None,
    before_end_write: Callable[[Written], Any] | None = None,
    after_flush_step: Callable[[Flushing], Any] | None = None,
    after_read: Callable[[Read], Any] | None = None,
    around_load: Callable[[Loading], AbstractContextManager[Any]] | None = None,
    after_load: Callable[[LoadDone], Any] | None = None,
    after_invalidation: Callable[[Invalidated], Any] | None = None,
) -> Iterator[None]:
    """Hooks for the length of a block, in this process."""
    chosen: dict[str, Callable[[Any], Any] | None] = {
        "before_fill": before_fill,
        "before_end_write": before_end_write,
        "after_flush_step": after_flush_step,
        "after_read": after_read,
        "around_load": around_load,
        "after_load": after_load,
        "after_invalidation": after_invalidation,
    }
    added = {name: hook for name, hook in chosen.items() if hook is not None}
    for name, hook in added.items():
        add(name, hook)
    try:
        yield
    finally:
        for name, hook in added.items():
            remove(name, hook)
