"""The hot rows, and the table that remembers those that are not there.

A row's version is its `stock`: each committed write raises it, under the row's lock. A slug's
generation is the `place` of the row that has it: whoever gives a slug to a row raises it. Where
there is no such row, or none with that slug, `history_absence` has the version; it is written in
the transaction that deletes the row or takes its slug away. So versions only ever grow, and
"absent" is one of the states that a row is in.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import connection
from django_redis import get_redis_connection

from .chronicle import kept
from .notices import ground as notices
from .pieces import ground as pieces
from .sessions import ground as sessions

STEADY = (1, 2, 3)
SWAPPING = (4, 5)
"""Two rows that swap their slugs."""
WANDERING = 6
"""A row with two slugs, one at a time."""
ERASABLE = (7, 8)
KEPT = (*STEADY, *SWAPPING, WANDERING)
ROWS = (*KEPT, *ERASABLE)

SECOND_SLUG = "second-home"
SLUGS = (*(f"row-{pk}" for pk in ROWS), SECOND_SLUG)
WANDERERS_SLUGS = (f"row-{WANDERING}", SECOND_SLUG)


def slug_of(pk: int) -> str:
    """The slug that a row begins with."""
    return f"row-{pk}"


@contextmanager
def laid(areas: tuple[str, ...]) -> Iterator[None]:
    """The rows, for the length of a block, at whose end the tables and the cache are empty."""
    try:
        _lay_items()
        for each in (pieces, notices, sessions):
            each.lay()
        with kept([*pieces.scopes(areas), *notices.scopes(areas), *sessions.scopes(areas)]):
            yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE IF EXISTS history_absence, history_notice")
            tables = ", ".join((*pieces.TABLES, "django_session", "testapp_item"))
            cursor.execute(f"TRUNCATE {tables} CASCADE")
        _empty_cache()


def _lay_items() -> None:
    from tests.testapp.models import Item, Label

    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS history_absence")
        cursor.execute("CREATE TABLE history_absence (pk bigint, slug text, version bigint)")
        cursor.executemany("INSERT INTO history_absence VALUES (%s, NULL, 0)", [(n,) for n in ROWS])
        cursor.executemany(
            "INSERT INTO history_absence VALUES (NULL, %s, 0)", [(s,) for s in SLUGS]
        )
    Item.objects.bulk_create(
        [Item(pk=pk, name=f"Row {pk}", slug=slug_of(pk), place=1, stock=1) for pk in ROWS]
    )
    Label.objects.bulk_create([Label(pk=pk, item_id=pk, text=f"Label {pk}") for pk in KEPT])


def _empty_cache() -> None:
    client = get_redis_connection("default")
    for key in client.scan_iter(f"*{settings.CACHEPATTERNS['KEY_PREFIX']}:*", count=1000):
        client.unlink(key)
