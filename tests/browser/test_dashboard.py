"""The dashboard in a browser: its figures, charts, live refresh and actions."""

from __future__ import annotations

import re

import pytest
from django.conf import settings
from playwright.sync_api import Page, Route, expect

from django_cachepatterns import ReadThrough
from django_cachepatterns.metrics import flushing
from django_cachepatterns.testing import outage
from django_cachepatterns.write_behind.records import DeadLetter
from tests.testapp import models
from tests.testapp.models import Item

from . import load
from .conftest import INDEX, Visitor

POLICY, KEY = "admin:cachepatterns_policy", "admin:cachepatterns_key"
SOON = 15_000
"""Milliseconds; longer than it takes until a page refreshes itself."""
INK = """canvas => {
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    const colours = new Set();
    for (let at = 0; at < data.length; at += 4) {
        if (data[at + 3]) colours.add(`${data[at]},${data[at + 1]},${data[at + 2]}`);
    }
    return colours.size;
}"""
"""How many colours a canvas has; none, where nothing is drawn."""
DRAWN = """(canvas, name) => {
    const text = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    const wanted = [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16));
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    let number = 0;
    for (let at = 0; at < data.length; at += 4) {
        if (wanted.every((value, each) => Math.abs(data[at + each] - value) < 24)) number += 1;
    }
    return number;
}"""
"""How much of a canvas has about the colour of a name."""


def figure(page: Page, name: str) -> str:
    """What a tile says."""
    return page.locator(f'[data-figure="{name}"] dd').first.inner_text()


def key_of(item: Item) -> str:
    return f"{settings.KEY_PREFIX}:testapp.item:{item.pk}"


def test_cache_patterns_on_the_index_leads_to_it(root: Visitor) -> None:
    page = root.opens("admin:index")
    page.get_by_role("link", name="Cache patterns", exact=True).click()
    expect(page.get_by_role("heading", name="Hit rate")).to_be_visible()
    page.get_by_role("link", name="Dashboard", exact=True).click()
    expect(page.get_by_role("heading", name="Cache patterns", level=1)).to_be_visible()


def test_figures_are_those_of_a_counted_load(root: Visitor) -> None:
    load.made(97)
    page = root.opens()
    assert figure(page, "reads") == "98"
    assert figure(page, "hit-rate") == "98.9 %"
    assert figure(page, "saved") == "97"
    line = page.locator('tr[data-policy="testapp.item"]')
    assert line.locator("td").all_inner_texts()[1:3] == ["98", "98.9 %"]
    expect(page.locator("[data-panel=hottest]")).to_contain_text(re.compile("testapp|No key"))


def test_charts_are_drawn(root: Visitor) -> None:
    load.course()
    page = root.opens()
    canvases = page.locator("figure[data-chart] canvas")
    expect(canvases).to_have_count(4)
    for at in range(4):
        assert canvases.nth(at).evaluate(INK) > 3
    legend = page.locator('[data-chart="hit-rate"] .u-legend')
    for name in ("All policies", "testapp.item", "testapp.shelf"):
        expect(legend).to_contain_text(name)


@pytest.mark.parametrize("chosen", ["day", "month", "year"])
def test_a_line_of_one_moment_is_a_point(root: Visitor, chosen: str) -> None:
    load.made()
    page = root.opens(query=f"?range={chosen}")
    canvas = page.locator('[data-chart="latency-load"] canvas')
    expect(canvas).to_be_visible()
    assert canvas.evaluate(DRAWN, "--cp-line-3") > 3


def test_the_legend_has_values_of_the_moment_that_is_pointed_at(root: Visitor) -> None:
    load.course()
    page = root.opens()
    legend = page.locator('[data-chart="hit-rate"] .u-legend')
    expect(legend).to_contain_text("All policies")
    assert "%" not in legend.inner_text()
    assert "Time" not in legend.inner_text()
    box = page.locator('[data-chart="hit-rate"] .u-over').bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + 20)
    expect(legend).to_contain_text("%")
    expect(legend).to_contain_text("Time")


def test_a_chart_without_data_says_so(root: Visitor) -> None:
    page = root.opens()
    expect(page.locator("figure[data-chart] canvas")).to_have_count(0)
    expect(page.get_by_text("No data yet in this range.").first).to_be_visible()


def test_figures_move_without_loading_the_page_again(root: Visitor) -> None:
    item = load.made(9)
    page = root.opens()
    assert figure(page, "reads") == "10"
    page.evaluate("window.isTheSame = true")
    load.read(item, 32)
    tile = page.locator('[data-figure="reads"] dd').first
    expect(tile).to_have_text("42", timeout=SOON)
    assert page.evaluate("window.isTheSame")
    assert page.locator('[data-chart="hit-rate"] canvas').count() == 1


def test_figures_stand_still_when_they_are_told_to(root: Visitor) -> None:
    item = load.made(9)
    page = root.opens()
    page.get_by_role("button", name="Live").click()
    expect(page.get_by_role("status")).to_have_text("The figures stand still.")
    load.read(item, 32)
    page.wait_for_timeout(6000)  # What is to be seen is that nothing comes.
    assert figure(page, "reads") == "10"
    page.get_by_role("button", name="Refresh").click()
    expect(page.locator('[data-figure="reads"] dd').first).to_have_text("42")
    expect(page.get_by_role("status")).to_have_text("The figures are new.")


def test_a_refresh_leaves_the_user_where_he_is(root: Visitor) -> None:
    item = load.made(9)
    page = root.opens()
    page.get_by_role("button", name="Live").click()
    summary = page.locator('[data-chart="hit-rate"] summary')
    summary.click()
    page.get_by_label("Show policies named").fill("testapp.item")
    expect(page.locator("#cp-policies tbody tr:visible")).to_have_count(1)
    link = page.locator('tr[data-policy="testapp.item"] a')
    link.focus()
    load.read(item, 5)
    page.evaluate("document.querySelector('[data-refresh]').click()")
    expect(page.locator('[data-figure="reads"] dd').first).to_have_text("15")
    expect(page.locator('tr[data-policy="testapp.item"] a')).to_be_focused()
    expect(page.locator("#cp-policies tbody tr:visible")).to_have_count(1)
    expect(page.locator('[data-chart="hit-rate"] details table')).to_be_visible()


def test_the_sample_of_memory_comes_after_the_page(root: Visitor) -> None:
    load.made()
    page = root.opens()
    expect(page.locator("[data-panel=memory]")).to_contain_text("testapp.item")
    expect(page.locator("[data-panel=memory]")).not_to_have_attribute("aria-busy", "true")


def test_ranges_are_chosen(root: Visitor) -> None:
    load.made(9)
    page = root.opens()
    for name in ("hour", "day", "month", "year", "15 minutes"):
        page.get_by_role("navigation", name="Range").get_by_role("link", name=name).click()
        assert figure(page, "reads") == "10"


def test_one_gets_to_a_policy_and_to_a_key(root: Visitor) -> None:
    item = load.made()
    page = root.opens()
    page.get_by_role("link", name="testapp.item", exact=True).first.click()
    expect(page.get_by_role("heading", name="testapp.item", level=1)).to_be_visible()
    assert figure(page, "reads") == "98"
    page.get_by_role("link", name=re.compile("^. Cache patterns")).click()
    page.get_by_label("Look at a key").fill(key_of(item))
    page.get_by_role("button", name="Look").click()
    expect(page.get_by_role("row", name="State a value")).to_be_visible()
    expect(page.get_by_role("region", name="Payload").last).to_contain_text('"slug": "one"')


def test_a_key_is_invalidated_after_a_question(root: Visitor) -> None:
    item = load.made()
    page = root.opens(KEY, f"?key={key_of(item)}")
    page.get_by_role("link", name="Invalidate…").click()
    expect(page.locator(".cp-will")).to_contain_text(f"Drop the entry {key_of(item)}")
    page.get_by_role("link", name="No, take me back").click()
    expect(page.get_by_role("row", name="State a value")).to_be_visible()
    page.get_by_role("link", name="Invalidate…").click()
    page.get_by_role("button", name="Invalidate").click()
    expect(page.locator(".messagelist")).to_contain_text(f"Invalidated the key {key_of(item)}.")
    expect(page.get_by_role("row", name="State gone")).to_be_visible()


def test_rows_are_warmed(root: Visitor) -> None:
    Item.objects.create(name="one", slug="one")
    page = root.opens(POLICY, "?name=testapp.item")
    page.get_by_role("link", name="Warm…").click()
    page.get_by_label("How many").fill("10")
    page.get_by_role("button", name="Continue").click()
    expect(page.locator(".cp-will")).to_contain_text("up to 10 rows of testapp.Item")
    page.get_by_role("button", name="Warm").click()
    expect(page.locator(".messagelist")).to_contain_text("Warmed testapp.Item: 1 rows filled")


def test_buffers_are_flushed_and_dead_letters_retried(root: Visitor) -> None:
    row = models.Page.objects.create(title="a", likes=32_767)
    models.Page.like_counter.increment(row.pk, 2)
    page = root.opens()
    line = page.locator('tr[data-buffer="testapp.Page.likes"]')
    expect(line.locator("td").first).to_have_text("1")
    page.get_by_role("list", name="Actions").get_by_role("link", name="Flush buffers…").click()
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Flush").click()
    expect(page.locator(".messagelist")).to_contain_text("refused 1 changes")
    expect(line.locator("td").last).to_have_text("✕ 1")
    models.Page.objects.filter(pk=row.pk).update(likes=1)
    page.get_by_role("list", name="Actions").get_by_role("link", name="Retry dead letters…").click()
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Retry").click()
    expect(page.locator(".messagelist")).to_contain_text("1 dead letters are written")
    assert not DeadLetter.objects.exists()


def test_a_wrong_name_is_said_at_its_field(root: Visitor) -> None:
    page = root.opens()
    page.get_by_role("list", name="Actions").get_by_role("link", name="Invalidate…").click()
    page.get_by_label("Name").fill("no.such")
    page.get_by_role("button", name="Continue").click()
    expect(page.locator(".errorlist")).to_contain_text("Nothing that is cached is called")


def test_what_a_policy_should_do_is_said_from_its_numbers(root: Visitor) -> None:
    load.course()
    page = root.opens()
    advice = page.locator('[data-panel=advice] li[data-policy="testapp.shelf"]')
    expect(advice).to_contain_text(re.compile("more writes than reads|writes ended them"))


@pytest.mark.parametrize("codenames", [(), ("operate_cache",), ("view_payloads",)])
def test_who_may_not_view_is_refused(staff: object, codenames: tuple[str, ...]) -> None:
    visitor: Visitor = staff(*codenames)  # type: ignore[operator]
    page = visitor.opens("admin:index")
    assert page.get_by_role("link", name="Dashboard", exact=True).count() == 0
    page.goto("about:blank")
    visitor.watched.complaints.clear()
    page = visitor.opens(INDEX)
    assert "403" in page.title() + page.content()
    # The browser itself complains of the answer.
    assert all("403" in each for each in visitor.watched.complaints)
    visitor.watched.complaints.clear()


def test_who_may_view_sees_no_actions_and_no_payload(staff: object) -> None:
    item = load.made()
    visitor: Visitor = staff("view_dashboard")  # type: ignore[operator]
    page = visitor.opens()
    assert figure(page, "reads") == "98"
    assert page.get_by_role("list", name="Actions").count() == 0
    page = visitor.opens(KEY, f"?key={key_of(item)}")
    expect(page.get_by_text("Hidden: you may not read payloads.")).to_be_visible()
    assert "one" not in page.locator(".cp-panels").inner_text().split()


def test_the_content_security_policy_is_in_force(root: Visitor) -> None:
    """Without which the silence of the other tests would say nothing."""
    page = root.opens()
    page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), {text: 'x = 1'}))"
    )
    page.wait_for_function("() => window.violations.length > 0")
    assert any("CSP violation: script-src" in each for each in root.watched.complaints)
    root.watched.complaints.clear()


def test_who_was_signed_out_meanwhile_is_told(root: Visitor) -> None:
    page = root.opens()
    page.context.clear_cookies()
    page.get_by_role("button", name="Refresh").click()
    expect(page.locator("[data-problems]")).to_contain_text("You are signed out")


def test_a_site_that_is_gone_is_said_to_be(root: Visitor) -> None:
    load.made(9)
    page = root.opens()
    expect(page.locator("[data-panel=memory]")).to_contain_text("testapp.item")
    page.route("**/live/**", lambda route: route.abort())
    page.get_by_role("button", name="Refresh").click()
    expect(page.locator("[data-problems]")).to_contain_text("The site does not answer")
    assert figure(page, "reads") == "10"
    page.unroute("**/live/**")
    page.get_by_role("button", name="Refresh").click()
    expect(page.locator("[data-problems] .errornote")).to_have_count(0)
    # The browser itself complains of the request that was cut off.
    assert all("net::ERR_FAILED" in each for each in root.watched.complaints)
    root.watched.complaints.clear()


def test_a_site_that_fails_is_not_said_to_have_signed_the_user_out(root: Visitor) -> None:
    page = root.opens()
    page.route("**/live/**", lambda route: route.fulfill(status=502, body="<h1>Bad gateway</h1>"))
    page.get_by_role("button", name="Refresh").click()
    expect(page.locator("[data-problems]")).to_contain_text("The site fails (status 502)")
    assert all("502" in each for each in root.watched.complaints)
    root.watched.complaints.clear()


def test_a_site_that_never_answers_is_said_to_be_away(root: Visitor) -> None:
    root.page.clock.install()
    page = root.opens()
    page.route("**/live/**", lambda route: None)
    with page.expect_request("**/live/**"):
        page.get_by_role("button", name="Refresh").click()
    page.clock.run_for(31_000)
    expect(page.locator("[data-problems]")).to_contain_text("The site does not answer")
    page.unroute_all(behavior="ignoreErrors")


def test_a_time_zone_without_a_name_is_no_reason_to_draw_nothing(root: Visitor) -> None:
    def nameless(route: Route) -> None:
        response = route.fetch()
        body = re.sub('data-zone="[^"]*"', 'data-zone="UTC+02:00"', response.text())
        route.fulfill(response=response, body=body)

    load.course()
    root.page.route("**/dashboard/", nameless)
    page = root.opens()
    expect(page.locator("[data-zone]")).to_have_attribute("data-zone", "UTC+02:00")
    expect(page.locator('[data-chart="hit-rate"] canvas')).to_be_visible()
    assert page.locator('[data-chart="hit-rate"] canvas').evaluate(INK) > 2


def test_the_cache_server_going_away_is_said_without_loading_the_page_again(
    root: Visitor,
) -> None:
    load.made(9)
    page = root.opens()
    with outage():
        page.get_by_role("button", name="Refresh").click()
        problems = page.locator("[data-problems]")
        expect(problems).to_contain_text("The cache server does not answer")
        expect(page.get_by_role("heading", name="Server")).to_be_visible()
    page.get_by_role("button", name="Refresh").click()
    expect(problems.locator(".errornote")).to_have_count(0)


def test_names_are_shown_and_not_interpreted(root: Visitor) -> None:
    name = "<img src=x onerror=alert(1)>"
    values = ReadThrough(name, load=lambda key: key, ttl=60)
    for _ in range(60):
        values.get("a")
    flushing.flush()
    page = root.opens()
    expect(page.locator("#cp-policies")).to_contain_text(name)
    expect(page.locator('[data-chart="hit-rate"] .u-legend')).to_contain_text(name)
    assert page.locator("main img").count() == 0
    page.get_by_role("link", name=name).first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
