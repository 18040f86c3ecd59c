"""A Celery app as a project has one."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.processes.settings")

app = Celery("cachepatterns-processes")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@app.task(name="tests.count")
def count(pk: int, by: int) -> None:
    """Count in a worker."""
    from tests.testapp.models import Page

    Page.view_counter.increment(pk, by)


@app.task(name="tests.read")
def read(pk: int) -> str:
    """Read in a worker."""
    from tests.testapp.models import Item

    return Item.objects.get(pk=pk).name
