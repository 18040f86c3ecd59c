"""Stale-while-revalidate: who found a value stale has it loaded anew, and does not wait.

The name is that of RFC 5861's extension to HTTP caching.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC
from typing import Any, NamedTuple, Protocol
from zoneinfo import ZoneInfo

from asgiref.sync import async_to_sync
from django.db import connections
from django.utils import timezone, translation

from .. import conf, hooks
from ..policy import CachePolicy
from ..transactions.state import in_testcase
from .refresher import REFRESHER


class Place(NamedTuple):
    """Where a reader is: its value may be in its language, though nothing but its key says so."""

    tenant: str | None
    language: str | None
    zone: Any

    @classmethod
    def here(cls) -> Place:
        """Where this thread or coroutine is."""
        tenant = conf.config().current_tenant()
        return cls(tenant, translation.get_language(), timezone.get_current_timezone())

    def told(self) -> list[str | None]:
        """The same as JSON; a time zone without a name is left out."""
        zone = str(self.zone) if isinstance(self.zone, ZoneInfo) or self.zone is UTC else None
        return [self.tenant, self.language, zone]

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Be there for the length of a block."""
        with ExitStack() as stack:
            stack.enter_context(conf.as_tenant(self.tenant))
            if self.language is not None:
                stack.enter_context(translation.override(self.language))
            if self.zone is not None:
                stack.enter_context(timezone.override(self.zone))
            yield


class Refreshable(Protocol):
    """What is asked of a reader."""

    source: Any

    def refresh_stale(self, asked: Any) -> bool:
        """Load one key anew if it is still stale, in this thread."""

    async def arefresh_stale(self, asked: Any) -> bool:
        """The same in a coroutine."""


def later(reader: Refreshable, asked: Any) -> None:
    """Have a key refreshed by whom its policy says.

    Where there is no room, or nobody takes it, it stays stale: a later reader tries again.
    """
    policy: CachePolicy = reader.source.policy
    elsewhere = hooks.refreshers.get(policy.refresh)
    if elsewhere is not None:
        recipe = reader.source.recipe(asked)
        if recipe is not None:
            elsewhere(reader.source.entry_key(asked), recipe)
            return
    place = Place.here()

    def refresh() -> None:
        with place.entered():
            now(reader, asked)

    REFRESHER.submit(reader.source.entry_key(asked), refresh)


def is_under_test() -> bool:
    """Whether this thread is in a `TestCase`'s transaction, whose writes no other thread would see.

    To be asked only where there is a mail outbox, as in all tests of Django's.
    """
    return any(in_testcase(each) for each in connections.all(initialized_only=True))


def now(reader: Refreshable, asked: Any) -> bool:
    """Refresh a key in this thread, if it is still stale."""
    if hasattr(reader.source, "aload"):
        # Not `asyncio.run()`: what it asks Django for is asked in this thread then, by connections
        # that are closed after use.
        return async_to_sync(reader.arefresh_stale)(asked)
    return reader.refresh_stale(asked)
