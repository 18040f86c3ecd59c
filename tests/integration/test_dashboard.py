"""What the dashboard shows, as Django's test client sees it."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest
import redis
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from django_cachepatterns import ReadThrough, audit, cache_aside
from django_cachepatterns.dashboard import panels
from django_cachepatterns.dashboard.panels import Panel, memory
from django_cachepatterns.metrics import flushing
from tests.testapp.models import Item, Page, Shelf

from .dashboard import INDEX, KEY, LIVE, POLICY, VIEW, client_of, forget_figures, root, sent, text

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


@cache_aside(key="dashed:{n}", ttl=60)
def dashed(n: int) -> int:
    return n


@cache_aside(key="lasting:{n}", ttl=7 * 86_400)
def lasting(n: int) -> int:
    return n


config_values = ReadThrough("dashboard-values", load=lambda key: key, ttl=60)


@pytest.fixture(autouse=True)
def _nothing_counted_before() -> None:
    forget_figures()


@pytest.fixture
def client() -> Client:
    return root()


@pytest.fixture
def item() -> Item:
    return Item.objects.create(name="one", slug="one")


def figure(page: str, name: str) -> str:
    """What a tile of the page says first."""
    found = re.search(rf'data-figure="{name}".*?<dd[^>]*>(.*?)</dd>', page, re.DOTALL)
    assert found is not None
    return text(found[1])


def line(page: str, name: str, attribute: str = "data-policy") -> list[str]:
    """The cells of a line of a table."""
    found = re.search(rf'<tr {attribute}="{name}">(.*?)</tr>', page, re.DOTALL)
    assert found is not None
    return [text(cell) for cell in re.findall(r"<t[hd].*?</t[hd]>", found[1], re.DOTALL)]


def chart(page: str, name: str) -> dict[str, Any]:
    """What a chart is drawn from."""
    found = re.search(
        rf'data-chart="{name}".*?<script[^>]*application/json[^>]*>(.*?)</script>', page, re.DOTALL
    )
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


def test_it_is_listed_on_the_index_of_the_admin(client: Client) -> None:
    page = client.get(reverse("admin:index")).content.decode()
    assert f'href="{reverse(INDEX)}"' in page


def test_cache_patterns_on_the_index_leads_to_it(client: Client) -> None:
    page = client.get("/admin/").content.decode()
    found = re.search(r'<a href="([^"]+)" class="section"[^>]*>\s*Cache patterns\s*</a>', page)
    assert found is not None
    shown = client.get(found[1]).content.decode()
    assert figure(shown, "reads") == "0"
    assert "Dead letters" in text(shown)


def test_without_data_it_says_so(client: Client) -> None:
    page = client.get(reverse(INDEX)).content.decode()
    assert figure(page, "hit-rate") == "–"  # noqa: RUF001
    assert "Nothing was read in this range" in text(page)
    assert "No data yet in this range" in text(page)
    assert "Nobody has compared the cache with the database yet" in text(page)


def test_figures_are_those_of_a_counted_load(client: Client, item: Item) -> None:
    for _ in range(100):
        Item.objects.get(pk=item.pk)
    sent()
    page = client.get(reverse(INDEX)).content.decode()
    assert figure(page, "reads") == "100"
    assert figure(page, "hit-rate") == "99.0 %"
    assert figure(page, "saved") == "99"
    name, kind, reads, rate, lost, _, saved = line(page, "testapp.item")
    assert (name, kind, reads, rate, lost, saved) == (
        *("testapp.item", "rows", "100", "99.0 %", "1", "99"),
    )


def test_a_policy_below_the_line_is_said_what_to_do_with_its_numbers(
    client: Client, item: Item
) -> None:
    rows = [Item.objects.create(name="once", slug=f"once-{at}") for at in range(60)]
    forget_figures()
    for row in rows:
        Item.objects.get(pk=row.pk)
    sent()
    page = client.get(reverse(INDEX), {"range": "15m"}).content.decode()
    advice = re.search(r'<li data-policy="testapp.item">(.*?)</ol>', page, re.DOTALL)
    assert advice is not None
    assert "60 values were stored and served 0 reads" in text(advice[1])
    assert "▼ 0.0 %" in text(advice[1])
    assert "(below 80 %)" in line(page, "testapp.item")[3]


def test_a_ttl_is_not_blamed_that_is_longer_than_anything_was_counted(
    client: Client, item: Item
) -> None:
    for number in range(60):
        lasting(number)
        lasting(number)
    flushing.flush()
    for name in ("15m", "month", "year"):
        page = client.get(reverse(POLICY), {"name": f"{__name__}.lasting", "range": name})
        assert 'data-cause="young"' in page.content.decode(), name


def test_charts_have_the_rate_of_each_minute_and_the_line(client: Client, item: Item) -> None:
    now = time.time()
    for reads, ago in ((10, 120), (40, 60)):
        for _ in range(reads):
            Item.objects.get(pk=item.pk)
        flushing.flush(now - ago)
    drawn = chart(client.get(reverse(INDEX)).content.decode(), "hit-rate")
    assert drawn["target"] == 0.8
    assert [each["label"] for each in drawn["series"]] == ["All policies", "testapp.item"]
    known = [value for value in drawn["series"][1]["values"] if value is not None]
    assert known == [0.9, 1.0]
    assert "80%" in drawn["said"]


def test_latencies_are_of_hits_misses_and_loads(client: Client, item: Item) -> None:
    for _ in range(20):
        Item.objects.get(pk=item.pk)
    sent()
    page = client.get(reverse(INDEX)).content.decode()
    for kind in ("hit", "miss", "load"):
        drawn = chart(page, f"latency-{kind}")
        assert [each["label"] for each in drawn["series"]] == ["p50", "p95", "p99"]
        assert not drawn["empty"]


@pytest.mark.parametrize("name", ["15m", "hour", "day", "month", "year"])
def test_every_range_has_what_was_read_now(client: Client, item: Item, name: str) -> None:
    for _ in range(10):
        Item.objects.get(pk=item.pk)
    sent()
    page = client.get(reverse(INDEX), {"range": name}).content.decode()
    assert figure(page, "reads") == "10"
    assert f'<a href="?range={name}" aria-current="true">' in page


def test_an_unknown_range_is_the_usual_one(client: Client) -> None:
    page = client.get(reverse(INDEX), {"range": "'; DROP"}).content.decode()
    assert '<a href="?range=15m" aria-current="true">' in page


def test_figures_are_fetched_anew(client: Client, item: Item) -> None:
    client.get(reverse(INDEX))
    for _ in range(7):
        Item.objects.get(pk=item.pk)
    sent()
    response = client.get(reverse(LIVE))
    assert "no-store" in response.headers["Cache-Control"]
    data = response.json()
    assert data["problems"] == []
    assert figure(data["panels"]["summary"], "reads") == "7"
    assert "memory" not in data["panels"]


def test_memory_is_sampled_after_the_page_and_kept_for_a_while(
    client: Client, item: Item, monkeypatch: pytest.MonkeyPatch
) -> None:
    Item.objects.get(pk=item.pk)
    taken: list[int] = []
    sample = memory.inspection.sample

    def counted(**options: Any) -> Any:
        taken.append(1)
        return sample(**options)

    monkeypatch.setattr(memory.inspection, "sample", counted)
    monkeypatch.setattr(memory, "_kept", {})
    assert "Is being looked at" in text(client.get(reverse(INDEX)).content)
    assert not taken
    for _ in range(3):
        response = client.get(reverse("admin:cachepatterns_later", args=["memory"]))
        assert "testapp.item 2 " in text(response.json()["panels"]["memory"])
    assert taken == [1]


def test_hottest_keys_lead_to_the_key(client: Client, item: Item) -> None:
    for _ in range(400):
        Item.objects.get(pk=item.pk)
    sent()
    page = client.get(reverse(INDEX)).content.decode()
    key = f"{settings.KEY_PREFIX}:testapp.item:{item.pk}"
    address = f"{reverse(KEY)}?key={key.replace(':', '%3A')}"
    assert f'href="{address}"' in page
    assert client.get(address.replace("&amp;", "&")).status_code == 200


def test_write_behind_shows_what_waits_and_what_was_refused(client: Client) -> None:
    row = Page.objects.create(title="a", likes=32_767)
    Page.like_counter.increment(row.pk, 2)
    assert Page.like_counter.flush().refused == 1
    Page.view_counter.increment_many({row.pk: 1})
    page = client.get(reverse(INDEX)).content.decode()
    assert line(page, "testapp.Page.likes", "data-buffer")[-1] == "✕ 1"
    assert line(page, "testapp.Page.views", "data-buffer")[1] == "1"
    assert "Retry dead letters" in text(page)
    letters = f'href="{reverse("admin:django_cachepatterns_deadletter_changelist")}">Read the dead'
    assert letters in page
    assert "Read the dead" not in client_of(VIEW).get(reverse(INDEX)).content.decode()


def test_what_waits_for_too_long_is_said(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    row = Page.objects.create(title="a")
    Page.view_counter.increment(row.pk)
    monkeypatch.setattr("django_cachepatterns.dashboard.panels.write_behind.SHORTEST", 0.0)
    monkeypatch.setattr("django_cachepatterns.dashboard.panels.write_behind.LATE", 0)
    page = client.get(reverse(INDEX)).content.decode()
    assert "(late)" in line(page, "testapp.Page.views", "data-buffer")[2]
    assert "nobody flushes, or flushes do not keep up" in text(page)


def test_the_server_says_how_it_is(client: Client) -> None:
    page = text(client.get(reverse(INDEX)).content)
    assert "✓ up , a round trip takes" in page
    assert "When full" in page


def test_the_last_audit_is_shown(client: Client, item: Item, redis_client: redis.Redis) -> None:
    Item.objects.get(pk=item.pk)
    audit.audit()
    assert "The cache agrees with the database" in text(client.get(reverse(INDEX)).content)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE testapp_item SET name = 'other' WHERE id = %s", [item.pk])
    audit.audit()
    page = text(client.get(reverse(INDEX)).content)
    assert "✕ 1 entry is not what the database says" in page
    assert f"{settings.KEY_PREFIX}:testapp.item:{item.pk} differs in name" in page


def test_one_policy_has_a_page(client: Client, item: Item) -> None:
    for _ in range(60):
        Item.objects.get(pk=item.pk)
        Shelf.objects.filter(pk=1).first()
    sent()
    page = client.get(reverse(POLICY), {"name": "testapp.item"}).content.decode()
    assert figure(page, "reads") == "60"
    assert "ttl 600" in text(page)
    assert "lookups slug, shelf + place" in text(page)
    assert "above the 80 %" in text(page)
    data = client.get(reverse(LIVE), {"name": "testapp.item"}).json()
    assert figure(data["panels"]["policy_summary"], "reads") == "60"


@pytest.mark.parametrize(
    ("name", "kind"), [(f"{__name__}.dashed", "Function"), ("dashboard-values", "Values")]
)
def test_functions_and_values_have_one_too(client: Client, name: str, kind: str) -> None:
    dashed(1)
    config_values.get("a")
    sent()
    page = text(client.get(reverse(POLICY), {"name": name}).content)
    assert kind in page
    assert "ttl 60" in page


@pytest.mark.parametrize("name", ["", "no.such", "<script>alert(1)</script>", "a" * 5000])
def test_an_unknown_policy_is_said_to_be_none(client: Client, name: str) -> None:
    response = client.get(reverse(POLICY), {"name": name})
    assert response.status_code == 404
    assert "Nothing that is cached is called" in text(response.content)
    assert b"<script>alert" not in response.content


def test_a_key_says_what_it_holds(client: Client, item: Item) -> None:
    Item.objects.get(pk=item.pk)
    key = f"{settings.KEY_PREFIX}:testapp.item:{item.pk}"
    page = text(client.get(reverse(KEY), {"key": key}).content)
    for shown in ("State a value", "Served to readers yes", "Ttl left", "Age", '"slug": "one"'):
        assert shown in page


def test_a_list_says_what_it_depends_on(client: Client, item: Item) -> None:
    list(Item.objects.filter(stock=0).cache())
    prefix = f"{settings.KEY_PREFIX}:testapp.item:~q:"
    with redis.Redis.from_url(settings.CACHES["default"]["LOCATION"]) as server:
        (key,) = (key.decode() for key in server.scan_iter(f"{prefix}*"))
    page = text(client.get(reverse(KEY), {"key": key}).content)
    assert "Depends on" in page
    assert f"{settings.KEY_PREFIX}:testapp.item:~rows unchanged" in page


@pytest.mark.parametrize("key", ["", "foo", "cp\0x", "x" * 5000, "tenant::", "日本"])
def test_a_key_that_is_not_ours_is_said_to_be_none(client: Client, key: str) -> None:
    response = client.get(reverse(KEY), {"key": key})
    assert response.status_code == 404
    assert 'class="errornote"' in response.content.decode()


def test_a_panel_that_comes_later_has_its_place(client: Client) -> None:
    assert "Circuit breaker" not in text(client.get(reverse(INDEX)).content)
    template = f"{panels.TEMPLATES}/hottest.html"
    panels.register(Panel("breaker", "Circuit breaker", lambda glance: {}, template=template))
    panels.register(Panel("outbox", "Outbox", lambda glance: None))
    try:
        page = text(client.get(reverse(INDEX)).content)
    finally:
        panels._panels.pop("breaker")
        panels._panels.pop("outbox")
    assert "Circuit breaker No key was sampled yet" in page
    assert "Outbox" not in page


def test_a_page_costs_few_queries_however_many_policies_there_are(client: Client) -> None:
    client.get(reverse(INDEX))
    with CaptureQueriesContext(connection) as asked:
        client.get(reverse(INDEX))
    # The session, the user, and the dead letters.
    assert len(asked) <= 4


def test_nothing_is_inline_that_a_strict_policy_forbids(client: Client, item: Item) -> None:
    Item.objects.get(pk=item.pk)
    sent()
    for address in (reverse(INDEX), f"{reverse(POLICY)}?name=testapp.item"):
        page = client.get(address).content.decode()
        assert not re.search(r"<script(?![^>]*(src=|application/json))", page)
        assert not re.search(r"<[^>]+\s(style|on\w+)=", page)
        assert "<style" not in page
