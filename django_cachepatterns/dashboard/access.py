"""Who may do what on the dashboard."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase

from ..permissions import OPERATE, READ_PAYLOADS, VIEW

View = Callable[..., HttpResponseBase]


def may_view(request: HttpRequest) -> bool:
    """Whether the user may see the dashboard."""
    return request.user.has_perm(VIEW)


def may_operate(request: HttpRequest) -> bool:
    """Whether the user may invalidate, warm, flush and retry."""
    return may_view(request) and request.user.has_perm(OPERATE)


def may_read_payloads(request: HttpRequest) -> bool:
    """Whether the user may see what entries hold."""
    return may_view(request) and request.user.has_perm(READ_PAYLOADS)


def only(allowed: Callable[[HttpRequest], bool]) -> Callable[[View], View]:
    """Refuse a view of `Pages` to whom it is not for."""

    def decorate(view: View) -> View:
        @wraps(view)
        def checked(self: Any, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not allowed(request):
                raise PermissionDenied
            return view(self, request, *args, **kwargs)

        return checked

    return decorate
