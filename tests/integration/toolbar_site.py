"""The pages that the panel of django-debug-toolbar is tested on.

Imported when debug_toolbar is among the installed apps: its URLs lead to its models.
"""

from __future__ import annotations

import asyncio
import threading

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse
from django.urls import include, path

from django_cachepatterns import ReadThrough, cache_aside
from tests.testapp.models import Item, TextRow

PAGE = "<html><head></head><body>page</body></html>"


@cache_aside(key="toolbar:{word}")
def shouted(word: str) -> str:
    return word.upper()


@cache_aside(key="toolbar-async:{word}")
async def whispered(word: str) -> str:
    return word.lower()


sizes = ReadThrough("toolbar-sizes", load=len)
meeting = threading.Barrier(2)


def reads_rows(request: HttpRequest) -> HttpResponse:
    for pk in request.GET.getlist("pk"):
        Item.objects.get(pk=pk)
    return HttpResponse(PAGE)


def reads_all_kinds(request: HttpRequest) -> HttpResponse:
    item = Item.objects.get(slug="shoe")
    list(Item.objects.filter(pk__in=[item.pk, item.pk + 1]))
    list(Item.objects.filter(stock__gte=0, name="it's").order_by("pk")[:5].cache())
    Item.objects.filter(stock__gte=7).cache().count()
    shouted("a")
    sizes.get("four")
    return HttpResponse(PAGE)


def reads_by_slug(request: HttpRequest) -> HttpResponse:
    Item.objects.get(slug="shoe")
    return HttpResponse(PAGE)


def reads_a_list(request: HttpRequest) -> HttpResponse:
    list(Item.objects.order_by("pk").cache())
    return HttpResponse(PAGE)


def reads_together(request: HttpRequest) -> HttpResponse:
    """Two requests at the same time, which read while the other does."""
    meeting.wait(20)
    for pk in request.GET.getlist("pk"):
        Item.objects.get(pk=pk)
    meeting.wait(20)
    return HttpResponse(PAGE)


def reads_nothing(request: HttpRequest) -> HttpResponse:
    return HttpResponse(PAGE)


def fails(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("A fault of the view's.")


def reads_a_text(request: HttpRequest) -> HttpResponse:
    TextRow.objects.get(pk=request.GET["pk"])
    return HttpResponse(PAGE)


async def reads_in_a_loop(request: HttpRequest) -> HttpResponse:
    wanted = request.GET.getlist("pk")
    for pk in wanted:
        await Item.objects.aget(pk=pk)
        await asyncio.sleep(0)
    await asyncio.gather(whispered("A"), sync_to_async(shouted)("a"))
    return HttpResponse(PAGE)


urlpatterns = [
    path("favicon.ico", lambda request: HttpResponse(status=204)),  # Browsers ask for it.
    path("rows/", reads_rows),
    path("kinds/", reads_all_kinds),
    path("slug/", reads_by_slug),
    path("list/", reads_a_list),
    path("together/", reads_together),
    path("nothing/", reads_nothing),
    path("fails/", fails),
    path("text/", reads_a_text),
    path("loop/", reads_in_a_loop),
    path("__debug__/", include("debug_toolbar.urls")),
]
