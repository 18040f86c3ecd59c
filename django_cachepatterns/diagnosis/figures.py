"""Whether processes send figures, and what those say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .. import conf
from ..exceptions import CachePatternsError
from ..metrics import history
from ..metrics.families import OTHER
from ..metrics.measured import Measured, total
from .finding import Finding, fine, warning

ABOUT = "figures"
RANGE = "hour"
SOME = 100
"""Reads from which on shares mean something."""
ERRORS = 0.01
"""The share of reads that may fail for the cache's sake."""


def figures() -> Iterator[Finding]:
    """What the last hour's figures say."""
    if not conf.config().values["METRICS"]:
        yield warning(
            ABOUT,
            "CACHEPATTERNS['METRICS'] is False: nobody knows what the cache does.",
            "Set it to True: it costs a few per cent of a hit.",
        )
        return
    try:
        families = history.totals(RANGE)
    except CachePatternsError:
        return  # The server's part says so.
    measured = total(families.values())
    yield from _crowd(families)
    if not measured.reads:
        yield fine(ABOUT, "Nothing was read in the last hour, so far as processes have said.")
        return
    yield fine(ABOUT, f"{measured.reads:,} reads in the last hour, {measured.hit_rate:.1%} served.")
    yield from _troubles(measured)


def _crowd(families: Mapping[str, Measured]) -> Iterator[Finding]:
    if OTHER in families:
        yield warning(
            ABOUT,
            f"Some families of the last hour were counted as one, {OTHER!r}: there are too many.",
            "Leave what comes with requests out of the names of fragments and values; put it into "
            "what they vary on, or into the key.",
        )


def _troubles(measured: Measured) -> Iterator[Finding]:
    errors, lost = measured.counts.get("error", 0), measured.counts.get("lost_mark", 0)
    if measured.reads >= SOME and errors > ERRORS * measured.reads:
        yield warning(
            ABOUT,
            f"The cache server has not answered {errors:,} commands in the last hour.",
            "See the log for why. Where they are timeouts, look at the server's load, or raise "
            "TIMEOUT.",
        )
    if lost:
        yield warning(
            ABOUT,
            f"{lost:,} marks were gone before their transactions ended, in the last hour: evicted, "
            "or held for longer than MARK_TTL.",
            "Give the server more memory, raise MARK_TTL above your longest transaction, and run "
            "`manage.py audit_cache`.",
        )
