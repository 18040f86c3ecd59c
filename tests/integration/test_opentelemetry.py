"""OpenTelemetry: loads as spans, counts and times as metrics."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from asgiref.sync import sync_to_async
from django.db import connection
from django.template import Context, Template
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from django_cachepatterns import cache_aside, hooks
from django_cachepatterns.contrib.opentelemetry import instrument, uninstrument
from django_cachepatterns.metrics import families
from django_cachepatterns.testing import outage
from django_cachepatterns.warming import warm
from django_cachepatterns.write_behind import registry
from tests.testapp.models import Item, Page

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


@cache_aside(key="otel:{word}")
def careful(word: str) -> str:
    if word == "bad":
        raise ValueError("That word again.")
    return word.upper()


@cache_aside(key="otel-async:{word}")
async def patient(word: str) -> str:
    tracer = trace.get_tracer("inner", tracer_provider=_tracers[-1]) if _tracers else None
    for _ in range(3):
        await asyncio.sleep(0)
    if tracer is not None:
        with tracer.start_as_current_span(f"inner {word}"):
            await sync_to_async(lambda: tracer.start_span(f"in a thread {word}").end())()
    return word.lower()


_tracers: list[TracerProvider] = []


_stuck: list[str] = []


@cache_aside(key="otel-stuck:{word}")
async def stuck(word: str) -> None:
    _stuck.append(word)
    await asyncio.Event().wait()


class Telemetry(NamedTuple):
    """What a project's own OpenTelemetry has heard."""

    tracers: TracerProvider
    exporter: InMemorySpanExporter
    meters: MeterProvider
    reader: InMemoryMetricReader

    def spans(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())

    def points(self, name: str) -> dict[tuple[Any, ...], Any]:
        """The points of a metric, by the values of their attributes in the order of their names."""
        data = self.reader.get_metrics_data()
        found: dict[tuple[Any, ...], Any] = {}
        for resource in data.resource_metrics if data else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    if metric.name == name:
                        for point in metric.data.data_points:
                            key = tuple(value for _, value in sorted(point.attributes.items()))
                            found[key] = point
        return found


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    tracers, exporter = TracerProvider(), InMemorySpanExporter()
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    reader = InMemoryMetricReader()
    meters = MeterProvider([reader])
    yield Telemetry(tracers, exporter, meters, reader)
    uninstrument()
    for buffer in registry.buffers():
        buffer.server().forget(buffer.keys())


@pytest.fixture
def told(telemetry: Telemetry) -> Telemetry:
    instrument(telemetry.tracers, telemetry.meters, read_durations=True)
    return telemetry


def test_a_load_is_a_span_under_the_current_one(told: Telemetry) -> None:
    item = Item.objects.create(name="i", slug="i")
    before = time.time_ns()
    with told.tracers.get_tracer("test").start_as_current_span("request") as request:
        Item.objects.get(pk=item.pk)
    load, parent = told.spans()
    assert parent.name == "request"
    assert (load.name, load.kind) == ("load testapp.item", SpanKind.INTERNAL)
    assert load.parent is not None
    assert load.parent.span_id == request.get_span_context().span_id
    assert dict(load.attributes or {}) == {
        "cachepatterns.policy": "testapp.item",
        "cachepatterns.keys": 1,
        "cachepatterns.outcome": "loaded",
    }
    assert load.instrumentation_scope is not None
    assert load.instrumentation_scope.name == "django_cachepatterns"
    assert load.start_time is not None
    assert load.end_time is not None
    assert parent.end_time is not None
    assert before <= load.start_time < load.end_time <= parent.end_time


@pytest.mark.parametrize("pattern", ["row", "page", "warmed"])
def test_spans_of_the_database_are_below_the_load(told: Telemetry, pattern: str) -> None:
    items = [Item.objects.create(name="i", slug=f"i{at}", place=at) for at in range(3)]
    tracer = told.tracers.get_tracer("database")

    def traced(execute: Any, *args: Any) -> Any:
        with tracer.start_as_current_span("SELECT"):
            return execute(*args)

    with (
        connection.execute_wrapper(traced),
        told.tracers.get_tracer("test").start_as_current_span("request") as request,
    ):
        if pattern == "warmed":
            warm(Item.objects.filter(pk__in=[item.pk for item in items]))
        elif pattern == "page":
            Item.objects.in_bulk([item.pk for item in items])
        else:
            Item.objects.get(pk=items[0].pk)
        assert trace.get_current_span() is request
    (load,) = [span for span in told.spans() if span.name == "load testapp.item"]
    ids = [span.parent.span_id for span in told.spans() if span.name == "SELECT" and span.parent]
    assert load.context is not None
    # Warming also looks for what there is, which is no load.
    others = {request.get_span_context().span_id} if pattern == "warmed" else set()
    assert load.context.span_id in ids
    assert set(ids) <= {load.context.span_id} | others
    assert load.parent is not None
    assert load.parent.span_id == request.get_span_context().span_id


def test_a_hit_makes_no_span(told: Telemetry) -> None:
    item = Item.objects.create(name="i", slug="i")
    Item.objects.get(pk=item.pk)
    told.exporter.clear()
    Item.objects.get(pk=item.pk)
    assert told.spans() == []


def test_a_page_is_one_span(told: Telemetry) -> None:
    items = [Item.objects.create(name="i", slug=f"i{at}", place=at) for at in range(3)]
    told.exporter.clear()
    Item.objects.in_bulk([item.pk for item in items])
    (span,) = told.spans()
    assert (span.attributes or {})["cachepatterns.keys"] == 3


def test_a_function_that_fails(told: Telemetry) -> None:
    with pytest.raises(ValueError, match="That word again"):
        careful("bad")
    (span,) = told.spans()
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == "That word again."
    attributes = span.attributes or {}
    assert attributes["error.type"] == "ValueError"
    assert attributes["cachepatterns.outcome"] == "error"
    (event,) = span.events
    assert event.name == "exception"
    (point,) = told.points("cachepatterns.load.duration").values()
    assert point.attributes["error.type"] == "ValueError"


def test_coroutines_have_their_own_parents(told: Telemetry) -> None:
    tracer = told.tracers.get_tracer("test")

    async def request(name: str) -> None:
        with tracer.start_as_current_span(f"request {name}") as span:
            await patient(name)
            assert trace.get_current_span() is span

    async def requests() -> None:
        await asyncio.gather(*(request(name) for name in ("ONE", "TWO", "THREE")))

    _tracers.append(told.tracers)
    try:
        asyncio.run(requests())
    finally:
        _tracers.clear()
    spans = {span.context.span_id: span for span in told.spans() if span.context}

    def above(name: str) -> list[str]:
        """The names of the spans that a span is below, from the nearest on."""
        (span,) = [span for span in spans.values() if span.name == name]
        found = []
        while span.parent is not None:
            span = spans[span.parent.span_id]
            found.append(span.name)
        return found

    load = f"load {__name__}.patient"
    for name in ("ONE", "TWO", "THREE"):
        assert above(f"inner {name}") == [load, f"request {name}"]
        assert above(f"in a thread {name}") == [f"inner {name}", load, f"request {name}"]


def test_a_load_that_is_cancelled_is_over(told: Telemetry) -> None:
    async def cancelled() -> None:
        task = asyncio.create_task(stuck("x"))
        while not _stuck:
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(cancelled())
    (span,) = told.spans()
    assert (span.attributes or {})["error.type"] == "asyncio.exceptions.CancelledError"


def test_counts_are_told_when_they_are_asked_for(told: Telemetry) -> None:
    item = Item.objects.create(name="i", slug="i")
    name = "testapp.item"
    before = told.points("cachepatterns.reads")
    for _ in range(4):
        Item.objects.get(pk=item.pk)
    found = told.points("cachepatterns.reads")

    def more(outcome: str) -> int:
        old = before.get((outcome, name))
        return int(found[outcome, name].value - (old.value if old else 0))

    assert (more("hit"), more("miss")) == (3, 1)
    assert ("load", name) in told.points("cachepatterns.outcomes")
    assert ("load", name) not in found
    assert told.points("cachepatterns.io")["read", name].value > 0


def test_times_are_histograms(told: Telemetry) -> None:
    item = Item.objects.create(name="i", slug="i")
    for _ in range(4):
        Item.objects.get(pk=item.pk)
    reads = told.points("cachepatterns.read.duration")
    assert reads["testapp.item", "hit"].count == 3
    assert reads["testapp.item", "miss"].count == 1
    (load,) = told.points("cachepatterns.load.duration").values()
    assert load.count == 1
    assert 0 < load.sum < 10
    assert load.explicit_bounds[0] < 0.001


def test_times_are_of_so_many_families_and_no_more(
    told: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A histogram for each name that comes with a request would take all memory."""
    monkeypatch.setattr(families, "MOST", 1)
    monkeypatch.setattr(families, "_fragments", set())
    monkeypatch.setattr(families, "_said", set())
    fragment = Template("{% load cachepatterns %}{% cached 60 name %}text{% endcached %}")
    for name in ("a", "b", "c"):
        fragment.render(Context({"name": name}))
    assert set(told.points("cachepatterns.load.duration")) == {("fragment a",), ("(other)",)}
    reads = told.points("cachepatterns.read.duration")
    assert {name for name, _ in reads} == {"fragment a", "(other)"}


def test_reads_are_not_timed_unless_asked(telemetry: Telemetry) -> None:
    instrument(telemetry.tracers, telemetry.meters)
    assert hooks.after_read == ()
    item = Item.objects.create(name="i", slug="i")
    Item.objects.get(pk=item.pk)
    assert telemetry.points("cachepatterns.read.duration") == {}
    assert telemetry.points("cachepatterns.load.duration") != {}


def test_what_waits_and_whether_servers_answer(told: Telemetry) -> None:
    page = Page.objects.create(title="p")
    Page.view_counter.increment(page.pk)
    buffer = ("testapp.Page.views",)
    assert told.points("cachepatterns.write_behind.pending")[buffer].value == 1
    assert told.points("cachepatterns.write_behind.age")[buffer].value >= 0
    up = {key: point.value for key, point in told.points("cachepatterns.up").items()}
    assert up == {("cache",): 1, ("buffers",): 1}
    with outage():
        up = {key: point.value for key, point in told.points("cachepatterns.up").items()}
        assert told.points("cachepatterns.write_behind.pending") == {}
    assert up == {("cache",): 0, ("buffers",): 0}


def test_nothing_is_told_any_more(told: Telemetry) -> None:
    uninstrument()
    item = Item.objects.create(name="i", slug="i")
    Item.objects.get(pk=item.pk)
    assert told.spans() == []
    assert told.points("cachepatterns.reads") == {}
    assert hooks.around_load == hooks.after_load == hooks.after_read == ()
    uninstrument()


def test_it_can_be_taken_up_again(told: Telemetry, caplog: pytest.LogCaptureFixture) -> None:
    item = Item.objects.create(name="i", slug="i")
    instrument(told.tracers, told.meters, read_durations=True)
    uninstrument()
    instrument(told.tracers, told.meters, read_durations=True)
    Item.objects.get(pk=item.pk)
    assert len(told.spans()) == 1
    (load,) = told.points("cachepatterns.load.duration").values()
    assert load.count == 1
    assert not [each for each in caplog.records if each.name.startswith("opentelemetry")]


def test_without_providers_nothing_happens() -> None:
    instrument()
    try:
        item = Item.objects.create(name="i", slug="i")
        assert Item.objects.get(pk=item.pk) == item
    finally:
        uninstrument()
