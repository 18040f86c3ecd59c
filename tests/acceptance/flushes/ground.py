"""What is counted: a few rows, in a counter whose batches are small."""

from __future__ import annotations

import logging
from typing import Any

ROWS = 60
PKS = range(1, ROWS + 1)
BATCH_ROWS = 20
"""Few enough that increments of many rows fill batches before a flusher comes."""
FAMILY = "testapp.Page.views"
"""The counter's name, by which it is counted what it did."""


def counter(batch_rows: int = BATCH_ROWS) -> Any:
    """The counter, as each process makes it for itself."""
    from django_cachepatterns.write_behind.counter import CounterBuffer
    from tests.testapp.models import Page

    return CounterBuffer(Page, "views", batch_rows=batch_rows)


def lay(connection: Any) -> None:
    """Put the rows there, with a count of zero, and forget which batches were ever applied."""
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE testapp_page, cachepatterns_ledger CASCADE")
        cursor.execute(
            "INSERT INTO testapp_page (id, title, views) "
            f"SELECT n, 'Page ' || n, 0 FROM generate_series(1, {ROWS}) AS n"
        )


def keep_quiet() -> None:
    """Have this process not complain of outages, which are meant here."""
    logging.getLogger("django_cachepatterns").setLevel(logging.CRITICAL)
