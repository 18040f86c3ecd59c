"""How the dashboard looks, and who can use it: themes, phones, keyboards, screen readers."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from django.conf import settings
from playwright.sync_api import Page, expect

from django_cachepatterns.dashboard import glance
from django_cachepatterns.metrics.measured import Measured

from . import load
from .conftest import Visitor

PHONE = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}
KEY, POLICY = "admin:cachepatterns_key", "admin:cachepatterns_policy"
COLOURS = """() => {
    const style = getComputedStyle(document.body);
    return [style.backgroundColor, style.color];
}"""
LINES = """canvas => {
    const text = getComputedStyle(document.documentElement).getPropertyValue('--cp-line-1').trim();
    const wanted = [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16));
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    let number = 0;
    for (let at = 0; at < data.length; at += 4) {
        if (data[at + 3] === 255 && wanted.every((value, each) => data[at + each] === value)) {
            number += 1;
        }
    }
    return [text, number];
}"""
"""The colour that the theme has for the first line of a chart, and how much of it is drawn."""
CONTRAST = """() => {
    const rgb = (text) => text.match(/[0-9.]+/g).slice(0, 3).map(Number);
    const light = (text) => {
        const [r, g, b] = rgb(text).map((value) => {
            const share = value / 255;
            return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (element) => {
        for (let each = element; each; each = each.parentElement) {
            const colour = getComputedStyle(each).backgroundColor;
            if (!/rgba\\(.*, 0\\)/.test(colour)) return colour;
        }
        return 'rgb(255, 255, 255)';
    };
    const found = [];
    for (const element of document.querySelectorAll('.cp-panels *, .cp-bar *, .cp-tools *')) {
        const own = [...element.childNodes].some(
            (node) => node.nodeType === 3 && node.textContent.trim());
        if (!own || !element.checkVisibility()) continue;
        const [a, b] = [light(getComputedStyle(element).color), light(behind(element))];
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (ratio < 4.5) found.push(`${element.className || element.tagName}: ${ratio.toFixed(2)}`);
    }
    return [...new Set(found)];
}"""
"""The texts whose contrast is below what WCAG 2 asks for (AA)."""


def line_colour(page: Page) -> str:
    """The colour of the first line, which is drawn in it."""
    colour, drawn = page.locator('[data-chart="hit-rate"] canvas').evaluate(LINES)
    assert drawn > 50
    return str(colour)


def background(page: Page) -> str:
    found: str = page.evaluate(COLOURS)[0]
    return found


def width(page: Page) -> tuple[int, int]:
    """The width of what the page holds, and of the window. The browser's own `innerWidth` of a
    phone is no less than the former: it zooms out."""
    assert page.viewport_size is not None
    return page.evaluate("document.documentElement.scrollWidth"), page.viewport_size["width"]


@pytest.mark.parametrize("visitor", [{"color_scheme": "light"}], indirect=True)
def test_the_theme_is_that_of_the_admin(root: Visitor) -> None:
    load.course()
    page = root.opens()
    light, line = background(page), line_colour(page)
    toggle = page.locator(".theme-toggle").first
    for _ in range(3):  # auto, light, dark: in an order that Django chooses.
        toggle.click()
        if page.locator("html").get_attribute("data-theme") == "dark":
            break
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.evaluate("Promise.all(document.getAnimations().map((each) => each.finished))")
    assert background(page) != light
    assert line_colour(page) != line
    assert page.evaluate(CONTRAST) == []


@pytest.mark.parametrize("visitor", [{"color_scheme": "dark"}], indirect=True)
def test_the_theme_is_that_of_the_system_where_none_is_chosen(root: Visitor) -> None:
    load.course()
    page = root.opens()
    dark, line = background(page), line_colour(page)
    page.emulate_media(color_scheme="light")
    page.wait_for_function(f"() => ({COLOURS})()[0] !== '{dark}'")
    assert line_colour(page) != line


@pytest.mark.parametrize(
    "visitor", [{"color_scheme": "light"}, {"color_scheme": "dark"}], indirect=True
)
def test_texts_can_be_read(root: Visitor) -> None:
    load.course()
    page = root.opens()
    expect(page.locator("[data-panel=memory]")).to_contain_text("testapp")
    assert page.evaluate(CONTRAST) == []


@pytest.mark.parametrize("visitor", [PHONE], indirect=True)
def test_nothing_scrolls_sideways_on_a_phone(root: Visitor) -> None:
    item = load.course()
    key = f"{settings.KEY_PREFIX}:testapp.item:{item.pk}"
    for name, query in (
        ("admin:django_cachepatterns_dashboard_changelist", ""),
        (POLICY, "?name=testapp.item"),
        (KEY, f"?key={key}"),
    ):
        page = root.opens(name, query)
        content, window = width(page)
        assert content <= window == 360, name
    page = root.opens()
    canvas = page.locator('[data-chart="hit-rate"] canvas')
    box = canvas.bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 360
    page.goto(f"{root.site}/admin/django_cachepatterns/dashboard/act/invalidate/")
    assert width(page)[0] <= 360


def test_charts_follow_the_width_of_the_window(root: Visitor) -> None:
    load.course()
    page = root.opens()
    page.set_viewport_size({"width": 1400, "height": 900})
    canvas = page.locator('[data-chart="hit-rate"] canvas')
    expect(canvas).to_be_visible()
    wide = canvas.bounding_box()
    page.set_viewport_size({"width": 500, "height": 900})
    page.wait_for_function(
        "() => document.querySelector('[data-chart=\"hit-rate\"] canvas').clientWidth < 500"
    )
    assert wide is not None
    assert wide["width"] > 500
    assert width(page)[0] <= 500


def test_landmarks_and_headings_lead_through_the_page(root: Visitor) -> None:
    load.course()
    page = root.opens()
    expect(page.get_by_role("main")).to_be_visible()
    expect(page.get_by_role("navigation", name="Range")).to_be_visible()
    expect(page.get_by_role("search")).to_be_visible()
    for name in ("Hit rate", "What to do", "Policies", "Latency", "Hottest keys", "Memory"):
        expect(page.get_by_role("region", name=name, exact=True).first).to_be_visible()
        expect(page.get_by_role("heading", name=name, exact=True, level=2)).to_be_visible()
    levels = page.evaluate(
        "[...document.querySelectorAll('main h1, main h2, main h3')].map(h => +h.tagName[1])"
    )
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_everything_that_can_be_used_has_a_name(root: Visitor) -> None:
    item = load.course()
    key = f"{settings.KEY_PREFIX}:testapp.item:{item.pk}"
    for name, query in (
        ("admin:django_cachepatterns_dashboard_changelist", ""),
        (POLICY, "?name=testapp.item"),
        (KEY, f"?key={key}"),
    ):
        page = root.opens(name, query)
        snapshot = page.locator("main").aria_snapshot()
        for line in snapshot.splitlines():
            role = line.strip().removeprefix("- ").rstrip(":").split(" ")[0].strip("'\"")
            if role in ("link", "button", "textbox", "searchbox", "combobox", "img", "region"):
                assert '"' in line, f"{name}: {line}"
        assert page.evaluate("document.querySelectorAll('main table th:not([scope])').length") <= (
            page.evaluate("document.querySelectorAll('main .u-legend th').length")
        )


def test_charts_are_told_in_words_and_as_tables(root: Visitor) -> None:
    load.course()
    page = root.opens()
    chart = page.get_by_role("img", name="Hit rate over time")
    expect(chart).to_be_visible()
    said = chart.get_attribute("aria-label") or ""
    assert "The line to reach is 80%" in said
    assert "testapp.item: last" in said
    page.get_by_text("Data of this chart: hit rate").click()
    table = page.locator('[data-chart="hit-rate"] details table')
    expect(table.locator("tbody tr")).to_have_count(15)
    expect(table.locator("thead")).to_contain_text("testapp.shelf")


def test_everything_can_be_used_by_the_keyboard(root: Visitor) -> None:
    load.course()
    page = root.opens()
    page.get_by_label("Look at a key").focus()
    reached = []
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate(
                "[document.activeElement.textContent.trim(),"
                " getComputedStyle(document.activeElement).outlineStyle]"
            )
        )
        if reached[-1][0] == "testapp.item":
            break
    names = [name for name, _ in reached]
    for name in ("Look", "Invalidate…", "hour", "Live", "Refresh", "testapp.item"):
        assert name in names, names
    assert all(outline != "none" for name, outline in reached if name in ("hour", "Refresh"))


def test_a_line_of_a_chart_is_hidden_by_the_keyboard(root: Visitor) -> None:
    load.course()
    page = root.opens()
    label = page.get_by_role("button", name="testapp.item").first
    expect(label).to_have_attribute("aria-pressed", "true")
    label.focus()
    page.keyboard.press("Enter")
    expect(label).to_have_attribute("aria-pressed", "false")


@pytest.mark.parametrize("visitor", [{"reduced_motion": "reduce"}], indirect=True)
def test_nothing_moves_for_whom_that_is_too_much(root: Visitor) -> None:
    page = root.opens()
    durations = page.evaluate(
        "[...document.querySelectorAll('main *')].map(e => getComputedStyle(e).transitionDuration)"
    )
    assert {each.split(",")[0].strip() for each in durations} <= {"0s", "1e-05s", "1e-06s"}


def test_only_the_user_s_own_doing_is_announced(root: Visitor) -> None:
    item = load.made()
    page = root.opens()
    load.read(item, 10)
    expect(page.locator('[data-figure="reads"] dd').first).to_have_text("108", timeout=15_000)
    expect(page.get_by_role("status")).to_have_text("")


LONG = [f"warehouse_management.consignment_of_goods_{at}" for at in range(200)]


@pytest.fixture
def _many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many policies with long names, all of them below the line."""
    of_one = Measured({"hit": 60, "miss": 40, "load": 40, "fill": 40})
    now = 60 * (int(time.time()) // 60)
    steps = [(now - 60 * at, of_one) for at in range(15, 0, -1)]
    monkeypatch.setattr(glance.history, "totals", lambda *given: dict.fromkeys(LONG, of_one))
    monkeypatch.setattr(glance.history, "over_time", lambda *given: steps)


@pytest.mark.usefixtures("_many")
@pytest.mark.parametrize("visitor", [PHONE], indirect=True)
def test_long_names_do_not_widen_the_page(root: Visitor) -> None:
    for page in (root.opens(), root.opens(POLICY, f"?name={LONG[0]}")):
        expect(page.locator("canvas").first).to_be_visible()
        content, window = width(page)
        assert content <= window


@pytest.mark.parametrize("visitor", [PHONE], indirect=True)
def test_short_names_are_not_broken(root: Visitor) -> None:
    load.course()
    page = root.opens()
    expect(page.locator("canvas").first).to_be_visible()
    for names in ("#hit_rate .u-label", "#policies tbody tr"):
        heights = page.locator(names).evaluate_all("all => all.map((each) => each.offsetHeight)")
        assert 0 < max(heights) < 40, names  # One line.


@pytest.mark.usefixtures("_many")
def test_a_long_table_does_not_make_the_page_as_long(root: Visitor) -> None:
    page = root.opens()
    expect(page.locator(f"#cp-policies [data-policy={LONG[-1]!r}]")).to_be_attached()
    below = page.evaluate(
        "document.documentElement.scrollHeight"
        " - document.querySelector('.cp-panels').getBoundingClientRect().bottom - scrollY"
    )
    assert below < 300  # The footer.
