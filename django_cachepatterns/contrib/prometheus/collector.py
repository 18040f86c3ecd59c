"""The collector: what all processes have counted is on the cache server, and is read there.

So a scrape says the same whichever of several workers answers it, and neither a directory of files
(PROMETHEUS_MULTIPROC_DIR) nor a worker's life matters. A worker sends what it has counted every
METRICS_FLUSH_EVERY seconds, and the one that is asked sends it before it answers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, InterfaceError
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from ... import audit, conf
from ...exceptions import CachePatternsError
from ...log_events import event, seldom
from ...metrics import flushing
from ...metrics.measured import Measured
from ...metrics.outcomes import SERVED, UNSERVED
from ...monitoring import backlog
from ...monitoring.servers import silence
from ...stores import figures_of
from .histograms import buckets_and_sum

logger = logging.getLogger("django_cachepatterns")

T = TypeVar("T")

READS = frozenset((*SERVED, *UNSERVED))
BYTES = ("read_bytes", "filled_bytes")


class CachePatternsCollector(Collector):
    """Gives prometheus-client the figures of all processes of the project.

    It never raises: where a server does not answer, `cachepatterns_up` or
    `cachepatterns_buffer_up` is 0, and the figures that are there are not.
    """

    def describe(self) -> Iterable[Metric]:
        """Nothing: else the servers would be asked whenever a collector is registered."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """What there is to know now."""
        families = _ask("figures", measured)
        yield _gauge("cachepatterns_up", "Whether the cache server answers.", families is not None)
        if families is not None:
            yield from _reads(families)
            yield from _outcomes(families)
            yield from _bytes(families)
            yield from _durations(families)
            yield from _audit()
        yield from _write_behind()


def measured() -> dict[str, Measured]:
    """What was counted ever since, by policy. Raises `StoreUnavailable` and `PolicyError`."""
    flushing.flush()
    found: dict[str, dict[str, int]] = {}
    for field, number in figures_of(conf.config()).ever().items():
        name, _, family = field.partition("|")
        found.setdefault(family, {})[name] = number
    return {family: Measured.of(numbers) for family, numbers in sorted(found.items())}


def _reads(families: dict[str, Measured]) -> Iterator[Metric]:
    counter = CounterMetricFamily(
        "cachepatterns_reads",
        "Keys that were asked for, each once, by what became of them.",
        labels=("policy", "outcome"),
    )
    for family, each in families.items():
        for outcome, number in sorted(each.counts.items()):
            if outcome in READS:
                counter.add_metric((family, outcome), number)
    yield counter


def _outcomes(families: dict[str, Measured]) -> Iterator[Metric]:
    counter = CounterMetricFamily(
        "cachepatterns_outcomes",
        "Whatever else is counted: loads, fills, invalidations, what is written behind, errors.",
        labels=("policy", "outcome"),
    )
    for family, each in families.items():
        for outcome, number in sorted(each.counts.items()):
            if outcome not in READS and outcome not in BYTES:
                counter.add_metric((family, outcome), number)
    yield counter


def _bytes(families: dict[str, Measured]) -> Iterator[Metric]:
    for outcome, what in zip(BYTES, ("that were read.", "that were stored."), strict=True):
        counter = CounterMetricFamily(
            f"cachepatterns_{outcome}", f"Bytes of entries {what}", labels=("policy",)
        )
        for family, each in families.items():
            if outcome in each.counts:
                counter.add_metric((family,), each.counts[outcome])
        yield counter


def _durations(families: dict[str, Measured]) -> Iterator[Metric]:
    reads = HistogramMetricFamily(
        "cachepatterns_read_duration_seconds",
        "How long calls took that the cache answered (hit), and that needed a load (miss).",
        labels=("policy", "result"),
    )
    loads = HistogramMetricFamily(
        "cachepatterns_load_duration_seconds",
        "How long the database, or a function, took to load what was not there.",
        labels=("policy",),
    )
    for family, each in families.items():
        for kind in ("hit", "miss"):
            if kind in each.times:
                reads.add_metric((family, kind), *buckets_and_sum(each.times[kind]))
        if "load" in each.times:
            loads.add_metric((family,), *buckets_and_sum(each.times["load"]))
    yield reads
    yield loads


def _audit() -> Iterator[Metric]:
    """What the auditor last saw; nothing where it has not run."""
    report = _ask("audit", audit.last)
    if report is None:
        return
    for name, help_text, value in (
        ("findings", "Entries that the last audit found to be wrong.", report.found),
        ("checked", "Entries that it compared with the database.", report.checked),
        ("healed", "Wrong entries that it deleted.", report.healed),
        ("timestamp_seconds", "When it began.", report.started),
    ):
        yield GaugeMetricFamily(f"cachepatterns_audit_{name}", help_text, value=value)


def _write_behind() -> Iterator[Metric]:
    is_up = silence("BUFFER_CACHE") is None
    yield _gauge("cachepatterns_buffer_up", "Whether the buffer server answers.", is_up)
    waits = _ask("backlog", backlog.backlogs) if is_up else None
    if waits is not None:
        rows = _by_buffer("pending_rows", "Rows that wait to be written behind.")
        ages = _by_buffer("oldest_age_seconds", "For how long the oldest of them has waited.")
        for each in waits:
            rows.add_metric((each.buffer,), each.rows)
            ages.add_metric((each.buffer,), each.oldest)
        yield rows
        yield ages
    letters = _ask("dead letters", backlog.letters)
    if letters is not None:
        kept = _by_buffer("dead_letters", "Changes that the database refused, and that are kept.")
        for buffer, number in sorted(letters.items()):
            kept.add_metric((buffer,), number)
        yield kept


def _by_buffer(name: str, help_text: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"cachepatterns_write_behind_{name}", help_text, labels=("buffer",))


def _gauge(name: str, help_text: str, value: bool) -> Metric:
    return GaugeMetricFamily(name, help_text, value=float(value))


def _ask(what: str, question: Callable[[], T]) -> T | None:
    """What somebody answers; `None` where nobody does, which is no reason to fail a scrape."""
    try:
        return question()
    except (CachePatternsError, ImproperlyConfigured, DatabaseError, InterfaceError) as error:
        level, held_back = seldom(logging.WARNING, "monitoring_failed", what)
        logger.log(
            level,
            "Monitoring goes without the %s: %s",
            what,
            error,
            extra=event("monitoring_failed", what=what, error=str(error), held_back=held_back),
        )
        return None
