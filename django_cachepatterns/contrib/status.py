"""The state of the servers and buffers as JSON, for projects without django-health-check.

    path("cache/status/", status)

The answer is 200 while the site works, with `"status": "degraded"` where it is slower than it could
be; `?strict=1` makes that a 503. Names of buffers are in it: let it be asked from inside only.
"""

from __future__ import annotations

from typing import Any

from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from ..exceptions import CachePatternsError
from ..monitoring import backlog
from ..monitoring.servers import silence

MAX_AGE = 300.0
"""Seconds that the oldest batch of a buffer may wait."""


@never_cache
@require_safe
def status(request: HttpRequest) -> JsonResponse:
    """Whether the servers answer, and what waits in which buffer."""
    found: dict[str, Any] = {
        "cache": silence("CACHE") is None,
        "buffers": silence("BUFFER_CACHE") is None,
        "backlog": _backlog(),
        "dead_letters": _letters(),
    }
    waits = found["backlog"]
    is_ok = (
        found["cache"]
        and found["buffers"]
        and waits is not None
        and all(each["oldest_seconds"] <= MAX_AGE for each in waits.values())
        and not any((found["dead_letters"] or {}).values())
    )
    found = {"status": "ok" if is_ok else "degraded", **found}
    strict = request.GET.get("strict", "") not in ("", "0")
    return JsonResponse(found, status=503 if strict and not is_ok else 200)


def _backlog() -> dict[str, dict[str, float]] | None:
    try:
        found = backlog.backlogs()
    except CachePatternsError:
        return None
    return {each.buffer: {"rows": each.rows, "oldest_seconds": each.oldest} for each in found}


def _letters() -> dict[str, int] | None:
    try:
        return dict(backlog.letters())
    except (CachePatternsError, DatabaseError, InterfaceError):
        return None
