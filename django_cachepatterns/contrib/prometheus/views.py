"""The figures at an address of their own."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from .collector import CachePatternsCollector

_registry = CollectorRegistry()
_registry.register(CachePatternsCollector())


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """The figures of this library, in the format that the scraper asks for.

    They name policies and buffers, and no keys: let it be asked from inside only.
    """
    encode, content_type = choose_encoder(request.headers.get("accept", ""))
    return HttpResponse(encode(_registry), content_type=content_type)
