"""A site for a web server with several workers: it reads, and is scraped.

What it imports of the library is imported when Django is set up, which each worker does by itself.
"""

from __future__ import annotations

import os

from django.core.handlers.wsgi import WSGIHandler
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path

READS = 200


def read(request: HttpRequest, pk: int) -> HttpResponse:
    """Read a row some times: long enough for the other workers to be needed meanwhile."""
    from tests.testapp.models import Item

    for _ in range(READS):
        Item.objects.get(pk=pk)
    return HttpResponse(str(os.getpid()))


def scraped(request: HttpRequest) -> HttpResponse:
    """The figures, and which worker has given them."""
    from django_cachepatterns.contrib.prometheus import metrics

    response = metrics(request)
    response.headers["X-Worker"] = str(os.getpid())
    return response


urlpatterns = [path("read/<int:pk>/", read), path("metrics/", scraped)]


def application() -> WSGIHandler:
    """What gunicorn serves."""
    return get_wsgi_application()
