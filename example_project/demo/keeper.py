"""What Celery beat does where there is Celery: flushes, roll-ups and audits, in one process."""

from __future__ import annotations

import threading
import time
from multiprocessing.connection import Connection
from typing import Any

import django

from .processes import is_over

AUDIT_EVERY = 20.0
ROLL_UP_EVERY = 30.0
"""Seconds."""
SAMPLE = 500
"""Entries in an audit."""


def keep(stop: Any, report: Connection) -> None:
    """Do what is due until told to stop; then a last flush."""
    django.setup()
    from django_cachepatterns.write_behind import registry
    from django_cachepatterns.write_behind.loop import Loop
    from django_cachepatterns.write_behind.troubles import Troubles

    report.send("here")
    loop = Loop(registry.buffers(), None, Troubles(print, print))
    thread = threading.Thread(target=loop.run, daemon=True)
    thread.start()
    _tick(stop)
    loop.stop()
    thread.join()
    loop.drain()


def _tick(stop: Any) -> None:
    from django.db import close_old_connections

    from django_cachepatterns.audit import audit
    from django_cachepatterns.metrics.rollup import roll_up

    due = {audit: 5.0, roll_up: ROLL_UP_EVERY}
    began = time.monotonic()
    while not is_over(stop):
        stop.wait(0.5)
        close_old_connections()
        now = time.monotonic() - began
        if now >= due[audit]:
            audit(sample=SAMPLE)
            due[audit] = now + AUDIT_EVERY
        if now >= due[roll_up]:
            roll_up()
            due[roll_up] = now + ROLL_UP_EVERY
