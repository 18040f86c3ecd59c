"""What listens to the library, and what OpenTelemetry is told of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry import metrics, trace
from opentelemetry.metrics import Histogram, MeterProvider
from opentelemetry.trace import SpanKind, Status, StatusCode, TracerProvider

from ... import hooks
from ...metrics.families import counted_as
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
        self._around_load = self._span
        self._after_load, self._after_read = self._loaded, self._read

    def start(self) -> None:
        """Listen, and answer."""
        self._observed.is_on = True
        hooks.add("around_load", self._around_load)
        hooks.add("after_load", self._after_load)
        if self._reads is not None:
            hooks.add("after_read", self._after_read)

    def stop(self) -> None:
        """Listen no more, and answer nothing."""
        self._observed.is_on = False
        hooks.remove("around_load", self._around_load)
        hooks.remove("after_load", self._after_load)
        hooks.remove("after_read", self._after_read)

    @contextmanager
    def _span(self, loading: hooks.Loading) -> Iterator[None]:
        """A span of a load: the current one for as long as it takes."""
        attributes: dict[str, Any] = {
            POLICY: loading.family,
            KEYS: len(loading.keys),
            OUTCOME: "loaded",
        }
        with self._tracer.start_as_current_span(
            f"load {loading.family}",
            kind=SpanKind.INTERNAL,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield
            except GeneratorExit:
                raise  # The coroutine is no more.
            except BaseException as error:
                span.set_attributes({OUTCOME: "error", ERROR: _name_of(error)})
                span.record_exception(error)
                span.set_status(Status(StatusCode.ERROR, str(error)))
                raise

    def _loaded(self, done: hooks.LoadDone) -> None:
        attributes: dict[str, Any] = {POLICY: counted_as(done.family)}
        if done.error is not None:
            attributes[ERROR] = _name_of(done.error)
        self._loads.record(done.seconds, attributes)

    def _read(self, read: hooks.Read) -> None:
        if self._reads is not None and read.seconds:
            is_hit = all(outcome in SERVED for outcome in read.outcomes)
            result = "hit" if is_hit else "miss"
            attributes = {POLICY: counted_as(read.family), RESULT: result}
            self._reads.record(read.seconds, attributes)


def _name_of(error: BaseException) -> str:
    """The class of an error as the semantic conventions spell `error.type`."""
    kind = type(error)
    return (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__qualname__}"
    )
