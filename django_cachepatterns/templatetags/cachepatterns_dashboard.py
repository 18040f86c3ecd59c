"""How the dashboard writes numbers."""

from __future__ import annotations

import math
from typing import Any
from urllib.parse import urlencode

from django import template
from django.template.defaultfilters import filesizeformat
from django.utils.safestring import SafeString, mark_safe

from ..dashboard.access import may_view
from ..dashboard.charts import duration

register = template.Library()
NOTHING = "–"  # noqa: RUF001 - an en dash is what tables have for "nothing"


@register.filter
def number(value: Any) -> str:
    """`12,345`; a dash for `None`."""
    return NOTHING if value is None else f"{value:,}"


@register.filter
def short(value: Any) -> str:
    """`12,345`, `1.23 million`."""
    if value is None:
        return NOTHING
    for name, size in (("billion", 10**9), ("million", 10**6)):
        if value >= size:
            return f"{value / size:.3g} {name}"
    return f"{value:,}"


@register.filter
def percent(value: Any, digits: int = 1) -> str:
    """`81.3 %`. What is not all is not rounded up to it."""
    if value is None:
        return NOTHING
    shift = 10**digits
    return f"{math.floor(value * 100 * shift + 1e-6) / shift:.{digits}f} %"


@register.filter
def seconds(value: Any) -> str:
    """`350 µs`, `4.2 ms`, `1.3 s`, `2 min`."""
    return duration(value)


@register.filter
def size(value: Any) -> str:
    """`1.2 MB`."""
    return NOTHING if value is None else str(filesizeformat(value))


@register.simple_tag(takes_context=True)
def dashboard(context: dict[str, Any]) -> SafeString:
    """The dashboard's first page within another one; nothing for whom it is not for."""
    # Django imports every module of tags, in projects without its admin, too.
    from django.contrib.admin.sites import all_sites
    from django.contrib.admin.sites import site as admin_site

    from ..dashboard.pages import Pages

    request = context["request"]
    name = getattr(request, "current_app", None) or "admin"
    site = next((each for each in all_sites if each.name == name), admin_site)
    if not may_view(request):
        return mark_safe("")
    return Pages(site).as_part(request)


@register.simple_tag
def query(**given: Any) -> SafeString:
    """A query string of what is given and not empty, for an attribute."""
    text = urlencode({name: value for name, value in given.items() if value not in (None, "")})
    return mark_safe(f"?{text}".replace("&", "&amp;"))
