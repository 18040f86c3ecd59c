"""A browser, and a site with the dashboard for it to look at."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from playwright.sync_api import Browser, Page, sync_playwright

from django_cachepatterns.dashboard.panels import memory
from tests.integration.dashboard import forget_figures

from .chromium import REMEDY, chromium
from .watched import Watched

INDEX = "admin:django_cachepatterns_dashboard_changelist"


@pytest.fixture(scope="package")
def browser(django_db_setup: None) -> Iterator[Browser]:
    """One Chromium for these tests.

    Playwright keeps an event loop in this thread, in which Django would refuse to query; no longer
    than these tests take, for all others are to notice when they query where they should not.
    """
    path = chromium()
    assert path is not None, REMEDY  # Without one, these tests are left out.
    # As root, in a container, Chromium has no sandbox; and its pages are our own.
    options = ["--no-sandbox", "--disable-dev-shm-usage"]
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as driver:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        launched = driver.chromium.launch(executable_path=path, args=options)
        yield launched
        launched.close()


@pytest.fixture(autouse=True)
def _no_sample_of_another_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_kept", {})


@pytest.fixture(autouse=True)
def _nothing_counted_before() -> None:
    forget_figures()


@pytest.fixture
def site(live_server: Any) -> str:
    """The address of a site that sends a strict Content-Security-Policy (see `csp`)."""
    address: str = live_server.url
    return address


class Visitor:
    """Somebody who looks at the dashboard in a browser.

    Args:
        page: the browser's page.
        site: the site's address.
        watched: what the page complains of.
    """

    def __init__(self, page: Page, site: str, watched: Watched) -> None:
        self.page, self.site, self.watched = page, site, watched

    def opens(self, name: str = INDEX, query: str = "") -> Page:
        """Open a page by the name of its address."""
        self.page.goto(f"{self.site}{reverse(name)}{query}")
        return self.page

    def log_in(self, user: User) -> None:
        """Be a user, as after the login page."""
        client = Client()
        client.force_login(user)
        name = settings.SESSION_COOKIE_NAME
        cookie = {"name": name, "value": client.cookies[name].value, "url": self.site}
        self.page.context.add_cookies([cookie])


@pytest.fixture
def visitor(browser: Browser, site: str, request: Any) -> Iterator[Visitor]:
    """Nobody yet. When the test is over, no page must have complained of anything."""
    options = getattr(request, "param", {})
    context = browser.new_context(**options)
    context.set_default_timeout(10_000)
    page = context.new_page()
    watched = Watched(page, urlsplit(site).netloc)
    yield Visitor(page, site, watched)
    context.close()
    assert not watched.complaints
    assert not watched.elsewhere()


@pytest.fixture
def root(visitor: Visitor) -> Visitor:
    """A superuser."""
    visitor.log_in(User.objects.create_superuser("root"))
    return visitor


@pytest.fixture
def staff(visitor: Visitor) -> Any:
    """Somebody with some permissions: call it with their code names."""

    def log_in(*codenames: str) -> Visitor:
        user = User.objects.create_user("somebody", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
        visitor.log_in(user)
        return visitor

    return log_in


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What is in here needs a browser, and commits what it writes.

    Where there is no browser, it is left out; the head of the test run says so (see `plugin`).
    """
    here = Path(__file__).parent
    own = [item for item in items if here in item.path.parents]
    for item in own:
        item.add_marker("browser")
        item.add_marker(pytest.mark.django_db(transaction=True))
    if own and chromium() is None:
        config.hook.pytest_deselected(items=own)
        items[:] = [item for item in items if item not in own]
