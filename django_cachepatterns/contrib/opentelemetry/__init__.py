"""Spans and metrics for OpenTelemetry.

    from django_cachepatterns.contrib.opentelemetry import instrument

    instrument()

Call it where the project sets its providers up: in each worker, after it was forked.
"""

from __future__ import annotations

import threading

from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider

from .instrumentation import Instrumentation

__all__ = ["instrument", "uninstrument"]

_lock = threading.Lock()
_made: dict[tuple[int, int, bool], Instrumentation] = {}
_active: list[Instrumentation] = []


def instrument(
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    *,
    read_durations: bool = False,
) -> None:
    """Have spans of loads made, and metrics told, in this process.

    A second call changes the providers. Instruments cannot be taken out of a provider again, so
    those that were made for one are used again.

    Args:
        tracer_provider: makes the spans; by default the global one.
        meter_provider: takes the metrics; by default the global one.
        read_durations: whether each read is timed, too, which costs it some microseconds.
    """
    with _lock:
        _stop()
        key = (id(tracer_provider), id(meter_provider), read_durations)
        if key not in _made:
            # It holds the providers, so that no other gets the id of one of them.
            _made[key] = Instrumentation(tracer_provider, meter_provider, read_durations)
        _active.append(_made[key])
        _made[key].start()


def uninstrument() -> None:
    """Make no more spans, and tell nothing any more."""
    with _lock:
        _stop()


def _stop() -> None:
    while _active:
        _active.pop().stop()
