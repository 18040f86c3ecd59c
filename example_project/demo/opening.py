"""The shop, open: its web server, visitors, and what keeps house, until it is closed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from .crew import ENABLED
from .keeper import keep
from .load import Load
from .processes import processes, received, spawn
from .visitors import visit
from .website import serve

VISITORS = 2
"""Processes, each with one visitor at a time."""
PAGES_PER_SECOND = 30.0
"""Of all of them: few enough to leave the machine to whoever looks at the pages."""
NAME, PASSWORD = "admin", "admin"


@dataclass(frozen=True, slots=True)
class Open:
    """Where the open shop is."""

    address: str

    @property
    def dashboard(self) -> str:
        """The dashboard's address."""
        from django.urls import reverse

        return self.address + reverse(DASHBOARD)


DASHBOARD = "admin:django_cachepatterns_dashboard_changelist"


@contextmanager
def open_shop(load: Load) -> Iterator[Open]:
    """Open the shop, with visitors in it, for the length of a block."""
    os.environ[ENABLED] = "1"
    _make_admin()
    stop = spawn.Event()
    with processes() as start:
        try:
            address = received(start(serve, stop))
            pace = VISITORS / PAGES_PER_SECOND
            others: list[Any] = [
                start(visit, index, load, address, pace, stop) for index in range(VISITORS)
            ]
            others.append(start(keep, stop))
            for other in others:
                received(other)
            yield Open(address)
        finally:
            stop.set()


def watch(shop: Open, seconds: float | None) -> None:
    """Say where the shop is; come back after so many seconds, or with Ctrl-C."""
    print(
        f"\nThe shop is open, with {PAGES_PER_SECOND:g} pages a second asked for by its visitors."
        f"\n\n  the shop       {shop.address}/"
        f"\n  its dashboard  {shop.dashboard}"
        f"\n  log in as      {NAME}, password {PASSWORD}\n",
        flush=True,
    )
    if seconds is not None:
        time.sleep(seconds)
        return
    print("Ctrl-C closes it.", flush=True)
    while True:
        time.sleep(3600)


def _make_admin() -> None:
    from django.contrib.auth import get_user_model
    from django.db import connection

    users = get_user_model()._default_manager
    if not users.filter(username=NAME).exists():
        users.create_superuser(NAME, "", PASSWORD)
    connection.close()
