"""django-debug-toolbar for some tests: it is not among the apps of the others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib.staticfiles.finders import get_finder

SITE = "tests.integration.toolbar_site"
ID = "CachePatternsPanel"


@contextmanager
def switched_on(settings: Any) -> Iterator[None]:
    """Have pages of `SITE` with the toolbar, with just our panel.

    Args:
        settings: pytest-django's fixture, which puts them back.
    """
    settings.DEBUG = True
    settings.ROOT_URLCONF = SITE
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "debug_toolbar"]
    settings.MIDDLEWARE = ["debug_toolbar.middleware.DebugToolbarMiddleware", *settings.MIDDLEWARE]
    settings.DEBUG_TOOLBAR_PANELS = [f"django_cachepatterns.contrib.debug_toolbar.{ID}"]
    settings.DEBUG_TOOLBAR_CONFIG = {"SHOW_TOOLBAR_CALLBACK": lambda request: True}
    from debug_toolbar.store import get_store
    from debug_toolbar.toolbar import DebugToolbar

    DebugToolbar._panel_classes = None
    get_store().clear()
    get_finder.cache_clear()  # It knows the static files of the apps that there were.
    yield
    DebugToolbar._panel_classes = None
    get_finder.cache_clear()
