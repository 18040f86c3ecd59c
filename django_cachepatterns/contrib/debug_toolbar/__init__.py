"""A panel for django-debug-toolbar (6 and later): the cached reads of a request.

DEBUG_TOOLBAR_PANELS = [
    "django_cachepatterns.contrib.debug_toolbar.CachePatternsPanel",
    *debug_toolbar.settings.PANELS_DEFAULTS,
]
"""

from __future__ import annotations

from .panel import CachePatternsPanel

__all__ = ["CachePatternsPanel"]
