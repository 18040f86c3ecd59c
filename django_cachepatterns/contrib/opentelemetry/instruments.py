"""Instruments that are asked when metrics are exported: nothing is done for them in between."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from ... import metrics
from ...exceptions import CachePatternsError
from ...metrics.outcomes import SERVED, UNSERVED
from ...monitoring import backlog
from ...monitoring.servers import silence

Callback = Callable[[CallbackOptions], Iterable[Observation]]
READS = frozenset((*SERVED, *UNSERVED))
BYTES = {"read_bytes": "read", "filled_bytes": "write"}


class Observed:
    """The observable instruments of a meter.

    Counts are those of this process: OpenTelemetry adds processes up by itself.
    """

    def __init__(self, meter: Meter) -> None:
        self.is_on = False
        meter.create_observable_counter(
            "cachepatterns.reads",
            [self._when_on(_reads)],
            unit="{key}",
            description="Keys that were asked for, each once, by what became of them.",
        )
        meter.create_observable_counter(
            "cachepatterns.outcomes",
            [self._when_on(_outcomes)],
            unit="{outcome}",
            description="Whatever else is counted: loads, fills, invalidations, errors.",
        )
        meter.create_observable_counter(
            "cachepatterns.io",
            [self._when_on(_bytes)],
            unit="By",
            description="Bytes of entries that were read, and stored.",
        )
        meter.create_observable_gauge(
            "cachepatterns.up",
            [self._when_on(_up)],
            unit="1",
            description="Whether the server answers: of the cache, of the buffers.",
        )
        meter.create_observable_gauge(
            "cachepatterns.write_behind.pending",
            [self._when_on(_pending)],
            unit="{row}",
            description="Rows that wait to be written behind.",
        )
        meter.create_observable_gauge(
            "cachepatterns.write_behind.age",
            [self._when_on(_ages)],
            unit="s",
            description="For how long the oldest of them has waited.",
        )

    def _when_on(self, observe: Callable[[], Iterable[Observation]]) -> Callback:
        def observed(options: CallbackOptions) -> Iterable[Observation]:
            return list(observe()) if self.is_on else []

        return observed


def _reads() -> Iterable[Observation]:
    return _counts(lambda outcome: outcome in READS)


def _outcomes() -> Iterable[Observation]:
    return _counts(lambda outcome: outcome not in READS and outcome not in BYTES)


def _counts(is_wanted: Callable[[str], bool]) -> Iterable[Observation]:
    for family, outcomes in metrics.by_family().items():
        for outcome, number in outcomes.items():
            if is_wanted(outcome):
                attributes = {"cachepatterns.policy": family, "cachepatterns.outcome": outcome}
                yield Observation(number, attributes)


def _bytes() -> Iterable[Observation]:
    for family, outcomes in metrics.by_family().items():
        for outcome, direction in BYTES.items():
            if outcome in outcomes:
                attributes = {"cachepatterns.policy": family, "cachepatterns.direction": direction}
                yield Observation(outcomes[outcome], attributes)


def _up() -> Iterable[Observation]:
    yield Observation(int(silence("CACHE") is None), {"cachepatterns.server": "cache"})
    yield Observation(int(silence("BUFFER_CACHE") is None), {"cachepatterns.server": "buffers"})


def _pending() -> Iterable[Observation]:
    for each in _backlogs():
        yield Observation(each.rows, {"cachepatterns.buffer": each.buffer})


def _ages() -> Iterable[Observation]:
    for each in _backlogs():
        yield Observation(each.oldest, {"cachepatterns.buffer": each.buffer})


def _backlogs() -> list[backlog.Backlog]:
    """What waits; nothing where the server does not say, which `cachepatterns.up` says."""
    try:
        return backlog.backlogs()
    except CachePatternsError:
        return []
