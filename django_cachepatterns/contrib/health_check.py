"""Checks for django-health-check (4.4 and later).

    from django_cachepatterns.contrib.health_check import BufferServer, CacheServer, WriteBehind
    from health_check.views import HealthCheckView

    path("health/", HealthCheckView.as_view(checks=[
        "health_check.checks.Database", CacheServer, BufferServer, WriteBehind,
    ]))

While a cache server is away the site is slower, and right: so these checks pass, and say in their
`state` what is wrong. An endpoint that fails would have a load balancer take every worker out of
a site that works. With `critical=True` they fail: for an endpoint that only people are woken by.
"""

from __future__ import annotations

import dataclasses
import logging
from datetime import timedelta
from typing import ClassVar

from django.db import DatabaseError, InterfaceError
from health_check.base import HealthCheck
from health_check.exceptions import ServiceUnavailable, ServiceWarning

from ..exceptions import CachePatternsError
from ..log_events import event, seldom
from ..monitoring import backlog
from ..monitoring.servers import Server, silence

logger = logging.getLogger("django_cachepatterns")


@dataclasses.dataclass
class _Check(HealthCheck):
    """What the checks have in common.

    Args:
        critical: whether the check fails where something is wrong.
        state: filled in by the check: `ok`, or in a word or two what is wrong.
    """

    critical: bool = dataclasses.field(default=False, repr=False)
    state: str = dataclasses.field(default="ok", init=False)

    def _degraded(
        self, state: str, message: str, kind: type[ServiceWarning | ServiceUnavailable]
    ) -> None:
        """Say what is wrong. The message is seen by whoever may ask the endpoint: no addresses."""
        self.state = state
        check = type(self).__name__
        level, held_back = seldom(logging.WARNING, "degraded", f"{check} {state}")
        logger.log(
            level,
            "%s: %s",
            check,
            message,
            extra=event("degraded", check=check, state=state, held_back=held_back),
        )
        if self.critical:
            raise kind(message)


@dataclasses.dataclass
class CacheServer(_Check):
    """Whether the server of the setting CACHE answers.

    Args:
        critical: whether the check fails where it does not.
    """

    server: ClassVar[Server] = "CACHE"
    meanwhile: ClassVar[str] = "reads go to the database"

    def run(self) -> None:
        """Ask it; raises `ServiceUnavailable` where it is away and that is critical."""
        why = silence(self.server)
        if why is not None:
            message = f"The server of {self.server} does not answer; {self.meanwhile}."
            self._degraded("away", message, ServiceUnavailable)


@dataclasses.dataclass
class BufferServer(CacheServer):
    """Whether the server of the setting BUFFER_CACHE answers.

    Args:
        critical: whether the check fails where it does not.
    """

    server: ClassVar[Server] = "BUFFER_CACHE"
    meanwhile: ClassVar[str] = "what is counted goes to the database at once"


@dataclasses.dataclass
class WriteBehind(_Check):
    """Whether buffers are flushed, and the database takes what they hold.

    Args:
        critical: whether the check fails where they are not.
        max_age: how long the oldest batch may wait.
        max_dead_letters: how many dead letters there may be; `None`: any number.
    """

    max_age: timedelta = dataclasses.field(default=timedelta(minutes=5), repr=False)
    max_dead_letters: int | None = dataclasses.field(default=0, repr=False)

    def run(self) -> None:
        """Look; raises `ServiceWarning` where something is wrong and that is critical."""
        try:
            waits = backlog.backlogs()
            letters = +backlog.letters() if self.max_dead_letters is not None else None
        except CachePatternsError:
            message = "The server of BUFFER_CACHE does not answer; the backlog is not known."
            self._degraded("unknown", message, ServiceWarning)
            return
        except (DatabaseError, InterfaceError):
            message = "The database does not answer; the dead letters are not known."
            self._degraded("unknown", message, ServiceWarning)
            return
        oldest = max(waits, key=lambda each: each.oldest, default=None)
        if oldest is not None and oldest.oldest > self.max_age.total_seconds():
            message = (
                f"{oldest.rows} rows of {oldest.buffer} wait, the oldest for "
                f"{oldest.oldest:.0f} seconds. Does anything flush it?"
            )
            self._degraded("late", message, ServiceWarning)
        elif letters is not None and letters.total() > (self.max_dead_letters or 0):
            message = f"There are {letters.total()} dead letters, of {', '.join(sorted(letters))}."
            self._degraded("dead letters", message, ServiceWarning)
