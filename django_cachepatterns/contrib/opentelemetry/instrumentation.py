"""What listens to the library, and what OpenTelemetry is told of it."""

from __future__ import annotations

from typing import Any

from opentelemetry import metrics, trace
from opentelemetry.metrics import Histogram, MeterProvider
from opentelemetry.trace import SpanKind, Status, StatusCode, TracerProvider

from ... import hooks
from ...metrics.outcomes import SERVED
from .instruments import Observed

NAME = "django_cachepatterns"
POLICY, KEYS, OUTCOME = "cachepatterns.policy", "cachepatterns.keys", "cachepatterns.outcome"
RESULT, ERROR = "cachepatterns.result", "error.type"
BOUNDS = (
    *(1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3),
    *(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
"""Seconds, from 10 µs to 10 s: the default ones begin at 5 ms."""


class Instrumentation:
    """Spans and metrics of this process, by one pair of providers."""

    def __init__(
        self,
        tracer_provider: TracerProvider | None,
        meter_provider: MeterProvider | None,
        read_durations: bool,
    ) -> None:
        self._providers = tracer_provider, meter_provider
        self._tracer = trace.get_tracer(NAME, tracer_provider=tracer_provider)
        meter = metrics.get_meter(NAME, meter_provider=meter_provider)
        self._observed = Observed(meter)
        self._loads = meter.create_histogram(
            "cachepatterns.load.duration",
            unit="s",
            description="How long the database, or a function, took to load what was not cached.",
            explicit_bucket_boundaries_advisory=BOUNDS,
        )
        self._reads: Histogram | None = None
        if read_durations:
            self._reads = meter.create_histogram(
                "cachepatterns.read.duration",
                unit="s",
                description="How long reads took: served by the cache (hit), or not (miss).",
                explicit_bucket_boundaries_advisory=BOUNDS,
            )
        self._after_load, self._after_read = self._loaded, self._read

    def start(self) -> None:
        """Listen, and answer."""
        self._observed.is_on = True
        hooks.add("after_load", self._after_load)
        if self._reads is not None:
            hooks.add("after_read", self._after_read)

    def stop(self) -> None:
        """Listen no more, and answer nothing."""
        self._observed.is_on = False
        hooks.remove("after_load", self._after_load)
        hooks.remove("after_read", self._after_read)

    def _loaded(self, done: hooks.LoadDone) -> None:
        """A span of a load that is over, under the span that it was made in."""
        attributes: dict[str, Any] = {POLICY: done.family}
        if done.error is not None:
            attributes[ERROR] = _name_of(done.error)
        self._loads.record(done.seconds, attributes)
        started = int(done.started * 1e9)
        outcome = "loaded" if done.error is None else "error"
        span = self._tracer.start_span(
            f"load {done.family}",
            kind=SpanKind.INTERNAL,
            attributes={**attributes, KEYS: len(done.keys), OUTCOME: outcome},
            start_time=started,
            record_exception=False,
        )
        if done.error is not None:
            span.record_exception(done.error)
            span.set_status(Status(StatusCode.ERROR, str(done.error)))
        span.end(end_time=started + int(done.seconds * 1e9))

    def _read(self, read: hooks.Read) -> None:
        if self._reads is not None and read.seconds:
            is_hit = all(outcome in SERVED for outcome in read.outcomes)
            result = "hit" if is_hit else "miss"
            self._reads.record(read.seconds, {POLICY: read.family, RESULT: result})


def _name_of(error: BaseException) -> str:
    """The class of an error as the semantic conventions spell `error.type`."""
    kind = type(error)
    return (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__qualname__}"
    )
