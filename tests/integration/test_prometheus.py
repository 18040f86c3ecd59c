"""Prometheus: figures of all processes, in its own format, whatever is away."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import path
from django.utils import timezone
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from django_cachepatterns import metrics as counters
from django_cachepatterns.audit import audit
from django_cachepatterns.contrib.prometheus import CachePatternsCollector, metrics
from django_cachepatterns.contrib.prometheus.histograms import EDGES, buckets_and_sum
from django_cachepatterns.metrics.histogram import bucket_of_ns
from django_cachepatterns.testing import outage
from django_cachepatterns.write_behind import registry
from django_cachepatterns.write_behind.records import DeadLetter
from tests.testapp.models import Item, Page

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "other"]),
    pytest.mark.urls(__name__),
]
urlpatterns = [path("metrics/", metrics)]

Labels = tuple[tuple[str, str], ...]
ITEM = ("policy", "testapp.item")


@pytest.fixture(autouse=True)
def _nothing_waits() -> Iterator[None]:
    yield
    for buffer in registry.buffers():
        buffer.server().forget(buffer.keys())


def scrape() -> dict[tuple[str, Labels], float]:
    """Every sample by its name and labels, as a parser of prometheus-client reads it."""
    text = Client().get("/metrics/").content.decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def of(name: str, *labels: tuple[str, str]) -> tuple[str, Labels]:
    return name, tuple(sorted(labels))


def test_reads_and_what_became_of_them() -> None:
    item = Item.objects.create(name="i", slug="i")
    before = scrape()
    hits, misses = (
        of("cachepatterns_reads_total", ITEM, ("outcome", name)) for name in ("hit", "miss")
    )
    for _ in range(4):
        Item.objects.get(pk=item.pk)
    found = scrape()
    assert found["cachepatterns_up", ()] == 1
    assert found[misses] - before.get(misses, 0) == 1
    assert found[hits] - before.get(hits, 0) == 3
    loads = of("cachepatterns_outcomes_total", ITEM, ("outcome", "load"))
    assert found[loads] - before.get(loads, 0) == 1
    stored = of("cachepatterns_filled_bytes_total", ITEM)
    assert found[stored] > before.get(stored, 0)


def test_durations_are_histograms() -> None:
    item = Item.objects.create(name="i", slug="i")
    result = ("result", "hit")
    count = of("cachepatterns_read_duration_seconds_count", ITEM, result)
    total = of("cachepatterns_read_duration_seconds_sum", ITEM, result)
    before = scrape()
    for _ in range(11):
        Item.objects.get(pk=item.pk)
    found = scrape()
    assert found[count] - before.get(count, 0) == 10
    assert found[total] > before.get(total, 0)
    buckets = [
        (float(dict(labels)["le"]), value)
        for (name, labels), value in found.items()
        if name == "cachepatterns_read_duration_seconds_bucket"
        and dict(labels)["policy"] == "testapp.item"
        and dict(labels)["result"] == "hit"
    ]
    assert buckets == sorted(buckets)
    assert [value for _, value in buckets] == sorted(value for _, value in buckets)
    assert buckets[-1] == (float("inf"), found[count])
    assert of("cachepatterns_load_duration_seconds_count", ITEM) in found


def test_bounds_part_the_library_s_own_buckets_exactly() -> None:
    for edge in EDGES:
        assert bucket_of_ns(edge - 1) < bucket_of_ns(edge)


def test_a_histogram_counts_what_is_below_each_bound() -> None:
    times = [10, 20_000, 20_001, 40_000, 3_000_000, 10**11]
    counts: dict[int, int] = {}
    for each in times:
        counts[bucket_of_ns(each)] = counts.get(bucket_of_ns(each), 0) + 1
    buckets, total = buckets_and_sum(counts)
    for edge, (bound, number) in zip(EDGES, buckets, strict=False):
        assert float(bound) == edge / 1e9
        assert number == sum(each < edge for each in times)
    assert buckets[-1] == ("+Inf", len(times))
    assert total == pytest.approx(sum(times) / 1e9, rel=0.13)


def test_figures_only_grow_whoever_reads_them() -> None:
    """They are sums, not of the last minutes: `rate()` needs nothing else."""
    seen = 0.0
    item = Item.objects.create(name="i", slug="i")
    for _ in range(3):
        Item.objects.get(pk=item.pk)
        found = scrape()
        now = sum(value for (name, _), value in found.items() if name.endswith("reads_total"))
        assert now > seen
        assert scrape() == found
        seen = now


def test_what_waits_to_be_written_behind() -> None:
    page = Page.objects.create(title="p")
    buffer = ("buffer", "testapp.Page.views")
    assert scrape()[of("cachepatterns_write_behind_pending_rows", buffer)] == 0
    Page.view_counter.increment(page.pk, 7)
    found = scrape()
    assert found["cachepatterns_buffer_up", ()] == 1
    assert found[of("cachepatterns_write_behind_pending_rows", buffer)] == 1
    assert found[of("cachepatterns_write_behind_oldest_age_seconds", buffer)] >= 0
    Page.view_counter.flush()
    assert scrape()[of("cachepatterns_write_behind_pending_rows", buffer)] == 0


def test_dead_letters() -> None:
    buffer = of("cachepatterns_write_behind_dead_letters", ("buffer", "testapp.Page.likes"))
    assert scrape()[buffer] == 0
    DeadLetter.objects.create(
        buffer="testapp.Page.likes",
        batch="0" * 32,
        member="1",
        payload="1",
        reason="out of range",
        refused_at=timezone.now(),
    )
    assert scrape()[buffer] == 1


def test_what_the_auditor_last_saw(redis_client: Any) -> None:
    assert not any(name.startswith("cachepatterns_audit") for name, _ in scrape())
    item = Item.objects.create(name="i", slug="i")
    Item.objects.get(pk=item.pk)
    with connection.cursor() as cursor:  # Behind the library's back.
        cursor.execute("UPDATE testapp_item SET name = 'other' WHERE id = %s", [item.pk])
    report = audit()
    found = scrape()
    assert found["cachepatterns_audit_findings", ()] == report.found == 1
    assert found["cachepatterns_audit_checked", ()] == report.checked
    assert found["cachepatterns_audit_timestamp_seconds", ()] == pytest.approx(report.started)


def test_a_dead_server_is_a_figure_and_no_error(caplog: Any) -> None:
    item = Item.objects.create(name="i", slug="i")
    Item.objects.get(pk=item.pk)
    with outage():
        found = scrape()
        scrape()
    assert found["cachepatterns_up", ()] == 0
    assert found["cachepatterns_buffer_up", ()] == 0
    assert not any(name.startswith("cachepatterns_reads") for name, _ in found)
    assert not any("pending" in name for name, _ in found)
    assert of("cachepatterns_write_behind_dead_letters", ("buffer", "words")) in found
    said = [each for each in caplog.records if getattr(each, "event", "") == "monitoring_failed"]
    assert [each.what for each in said] == ["figures"]
    back = scrape()
    assert back["cachepatterns_up", ()] == 1
    assert back[of("cachepatterns_reads_total", ITEM, ("outcome", "miss"))] >= 1


def test_a_server_that_is_killed_and_comes_back(own_valkey: Any, settings: Any) -> None:
    settings.CACHES = {
        **settings.CACHES,
        "default": {**settings.CACHES["default"], "LOCATION": own_valkey.url},
    }
    counters.count("told", "hit", 3)
    told = of("cachepatterns_reads_total", ("policy", "told"), ("outcome", "hit"))
    assert scrape()[told] == 3
    own_valkey.kill()
    counters.count("told", "hit", 2)
    assert scrape()["cachepatterns_up", ()] == 0
    own_valkey.start()
    found = scrape()
    assert found["cachepatterns_up", ()] == 1
    # The server has lost what it had; what this process could not send was kept, and is sent.
    assert found[told] == 2


def test_a_registry_of_the_project_s_own_takes_the_collector(monkeypatch: Any) -> None:
    registry = CollectorRegistry()
    with outage():
        registry.register(CachePatternsCollector())  # Asks nobody.
    assert b"cachepatterns_up 1.0" in generate_latest(registry)


def test_openmetrics_for_who_asks_for_it() -> None:
    Item.objects.create(name="i", slug="i")
    Item.objects.filter(slug="i").first()
    accept = "application/openmetrics-text; version=1.0.0"
    response = Client().get("/metrics/", headers={"accept": accept})
    assert response.headers["content-type"].startswith("application/openmetrics-text")
    families = list(openmetrics.text_string_to_metric_families(response.content.decode()))
    assert {"cachepatterns_up", "cachepatterns_reads"} <= {each.name for each in families}


def test_names_follow_the_conventions_of_prometheus() -> None:
    Item.objects.get_or_create(name="i", slug="i")
    text = Client().get("/metrics/").content.decode()
    for family in text_string_to_metric_families(text):
        assert family.name.startswith("cachepatterns_")
        assert family.documentation.endswith(".")
        if family.type == "counter":
            assert all(each.name.endswith("_total") for each in family.samples)
        if "duration" in family.name:
            assert family.name.endswith("_seconds")


def test_names_that_need_quoting_come_through() -> None:
    odd = 'fragment "a\\b"\nc é'
    counters.count(odd, "hit")
    assert scrape()[of("cachepatterns_reads_total", ("policy", odd), ("outcome", "hit"))] >= 1


def test_scrapes_at_the_same_time_count_once() -> None:
    counters.count("together", "hit", 5)
    texts: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: texts.append(Client().get("/metrics/").content))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    line = b'cachepatterns_reads_total{outcome="hit",policy="together"} 5.0'
    other = b'cachepatterns_reads_total{policy="together",outcome="hit"} 5.0'
    assert all(line in text or other in text for text in texts)
    assert len(texts) == 4


def test_only_reads_may_be_asked_of_the_view() -> None:
    assert Client().post("/metrics/").status_code == 405
    assert "no-store" in Client().get("/metrics/").headers["Cache-Control"]
