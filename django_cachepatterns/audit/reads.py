"""Auditing lists, counts and aggregates as they are read: only then is their query at hand.

Of the cached results that this process serves, a share is compared with the database on the spot,
by the same rules as everything else. Each of those costs its reader the query, and some round
trips.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DatabaseError, connections

from .. import conf, hooks
from ..exceptions import PolicyError, StoreUnavailable
from ..inspection.names import name_of
from ..log_events import event
from ..orm.results import Result
from ..stores import RedisInspector, inspector_of
from ..transactions.state import in_transaction
from . import keeping
from .comparison import Comparison
from .report import Finding
from .results import ResultChecker, is_comparable
from .tally import Tally

logger = logging.getLogger("django_cachepatterns")

SERVED = frozenset({"hit", "stale_hit"})


class Watch:
    """Compares a share of the results that this process serves.

    Args:
        share: of the hits, 0 to 1.
        heal: whether to delete what is wrong.
    """

    def __init__(self, share: float = 0.001, heal: bool = False) -> None:
        if not 0 < share <= 1:
            raise PolicyError(f"share is {share!r}; it is a part of the hits, such as 0.001.")
        self._share, self._heal = share, heal
        self._tally, self._lock = Tally(), threading.Lock()
        self._inside = threading.local()

    @property
    def checked(self) -> int:
        """How many results were compared."""
        return self._tally.checked

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Those that were wrong, up to a thousand."""
        return self._tally.findings

    def start(self) -> None:
        """Watch from now on."""
        hooks.add("after_read", self._told)

    def stop(self) -> None:
        """Watch no more."""
        hooks.remove("after_read", self._told)

    def _told(self, read: hooks.Read) -> None:
        source = read.source
        if not isinstance(source, Result) or random.random() >= self._share:
            return
        if read.outcomes[0] not in SERVED or not is_comparable(source):
            return
        if getattr(self._inside, "busy", False) or in_transaction(connections[source.alias]):
            return  # A transaction may see what others do not, or no more.
        self._inside.busy = True
        try:
            self._compare(read.keys[0], source)
        except (StoreUnavailable, DatabaseError) as error:
            # The read itself was served; whoever asks the database next hears of it.
            extra = event("audit_failed", family=source.name, error=str(error).strip())
            logger.warning("Cannot audit %s: %s", source.name, error, extra=extra)
        finally:
            self._inside.busy = False

    def _compare(self, key: bytes, result: Result) -> None:
        config = conf.config()
        inspector: RedisInspector = inspector_of(config)
        name = name_of(key, config.values["KEY_PREFIX"])
        tally = Tally()
        Comparison(ResultChecker(result), inspector, tally, self._heal).compare([name])
        with self._lock:
            self._tally.add(tally)
        keeping.keep_findings(tally.findings, inspector)


def watch(share: float = 0.001, heal: bool = False) -> Watch:
    """Compare a share of the cached query results that this process serves, from now on.

    For `AppConfig.ready()`. Findings are logged, counted as `finding`, and kept for `recent()`.

    Args:
        share: of the hits, 0 to 1: each that is compared costs its reader the query.
        heal: delete what is wrong.

    Raises `PolicyError` for a share that is none.
    """
    made = Watch(share, heal)
    made.start()
    return made


@contextmanager
def watching(share: float = 1.0, heal: bool = False) -> Iterator[Watch]:
    """The same for the length of a block: in a test, or a shell."""
    made = watch(share, heal)
    try:
        yield made
    finally:
        made.stop()
