"""Assertions on what the cache did in a block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .. import metrics
from ..metrics.sending import TICKER
from .wire import before_sending, commands_in


@contextmanager
def assert_cache_hits(number: int, family: str | None = None) -> Iterator[None]:
    """Assert that so many values are found in the cache within a block, in this process.

    A row, a list, a remembered absence or a stale value that is served count one each.

    Args:
        number: how many.
        family: only those of one family, such as `shop.product`; all by default.

    Raises `AssertionError`, which says what else was counted.
    """
    before = _counts(family)
    yield
    after = _counts(family)
    counted = {name: after[name] - before.get(name, 0) for name in after}
    found = sum(counted.get(name, 0) for name in ("hit", "stale_hit", "negative"))
    if found != number:
        rest = {name: count for name, count in counted.items() if count}
        raise AssertionError(f"{found} cache hits, {number} expected; counted: {rest}.")


@contextmanager
def assert_store_commands(number: int) -> Iterator[list[str]]:
    """Assert that so many commands are sent to the cache server within a block, by this process.

    Gives the list of their names, which grows. A page of rows is one `MGET`. A new connection's
    own commands are not counted, nor is what the thread sends that sends figures.

    Raises `AssertionError`, which names them.
    """
    sent: list[str] = []

    def note(packed: bytes) -> None:
        if not TICKER.is_sending():
            sent.extend(commands_in(packed))

    with before_sending(note):
        yield sent
    if len(sent) != number:
        raise AssertionError(f"{len(sent)} store commands, {number} expected: {', '.join(sent)}.")


def _counts(family: str | None) -> dict[str, int]:
    return metrics.snapshot() if family is None else metrics.by_family().get(family, {})
