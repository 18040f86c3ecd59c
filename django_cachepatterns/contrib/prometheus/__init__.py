"""Figures of all processes for Prometheus, by prometheus-client.

    from django_cachepatterns.contrib.prometheus import metrics

    path("metrics/cache/", metrics)

or, in a registry of the project's own: `registry.register(CachePatternsCollector())`.
"""

from __future__ import annotations

from .collector import CachePatternsCollector
from .views import metrics

__all__ = ["CachePatternsCollector", "metrics"]
