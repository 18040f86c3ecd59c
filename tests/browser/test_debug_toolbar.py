"""The panel of django-debug-toolbar, in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import expect
from pytest_django.live_server_helper import LiveServer

from tests.integration.toolbar import ID, switched_on
from tests.testapp.models import Item, Shelf

from .conftest import Visitor


@pytest.fixture
def site(settings: Any) -> Iterator[str]:
    """The address of a site that has the toolbar: a server of its own, which reads the settings
    when it starts.
    """
    with switched_on(settings):
        server = LiveServer("localhost")
        yield server.url
        server.stop()


def test_a_reader_looks_at_what_a_page_has_read(visitor: Visitor) -> None:
    shelf = Shelf.objects.create(name="top")
    for at, slug in enumerate(("shoe", "boot")):
        Item.objects.create(name="it's", slug=slug, shelf=shelf, place=at)
    page = visitor.page
    for _ in range(2):
        page.goto(f"{visitor.site}/kinds/")
    if (handle := page.locator("#djShowToolBarButton")).is_visible():
        handle.click()
    tab = page.locator(f"#djdt-{ID}")
    expect(tab).to_contain_text("100 % hits")
    tab.get_by_role("link").click()
    panel = page.locator(f"#{ID}")
    expect(panel.get_by_role("cell", name="testapp.item:list").first).to_be_visible()
    first = panel.locator("#cachePatternsMain_1")
    expect(first).to_contain_text("saved")
    trace = panel.locator("#cachePatternsDetails_1")
    expect(trace).to_be_hidden()
    first.get_by_role("button").click()
    expect(trace).to_be_visible()
    expect(trace).to_contain_text("reads_all_kinds")
    statement = first.locator("details").last
    whole = statement.locator("pre")
    expect(whole).to_be_hidden()
    statement.locator("summary").click()
    expect(whole).to_be_visible()
    expect(whole).to_contain_text("FROM")
