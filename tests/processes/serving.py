"""Applications as servers serve them: each request reads one row, `/<pk>`."""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.processes.settings")


def row(request: HttpRequest, pk: int) -> HttpResponse:
    from tests.testapp.models import Item

    return HttpResponse(Item.objects.get(pk=pk).name)


urlpatterns = [path("<int:pk>", row)]

wsgi = get_wsgi_application()
asgi = get_asgi_application()
