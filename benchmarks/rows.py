"""The rows, the same in every table."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID

from django.core.management import call_command
from django.db import connection

ROWS = 10_000
"""Rows of each table, with the keys 1 to 10,000."""

_WORDS = (
    "amber balanced bright canvas carbon classic compact cotton durable elegant everyday feather "
    "folding graphite handmade heavy honest leather light linen lively marble matte modern natural"
).split()
_DAY = dt.date(2020, 1, 1)
_MOMENT = dt.datetime(2024, 1, 1, 12, 30, 15, 250_000, tzinfo=dt.UTC)


def values(number: int) -> dict[str, Any]:
    """The columns of one row but its key."""
    random = Random(number)
    name = " ".join(random.choices(_WORDS, k=3))
    return {
        "slug": f"{name.replace(' ', '-')}-{number}",
        "name": name.capitalize(),
        "description": " ".join(random.choices(_WORDS, k=90)),
        "price": Decimal(random.randint(99, 99_999)).scaleb(-2),
        "quantity": random.randint(0, 1000),
        "weight": random.uniform(0.05, 30.0),
        "active": random.random() < 0.9,
        "released": _DAY + dt.timedelta(days=random.randint(0, 2000)),
        "created": _MOMENT + dt.timedelta(microseconds=random.randint(0, 10**13)),
        "uuid": UUID(int=random.getrandbits(128), version=4),
        "attributes": {
            "colour": random.choice(_WORDS),
            "sizes": random.sample(range(30, 50), 4),
            "origin": {"country": "PT", "batch": random.randint(1, 10_000)},
        },
    }


def make_tables() -> None:
    """Make all tables and fill them alike."""
    from .app.models import (
        CachalotItem,
        CachedItem,
        CacheopsItem,
        IndexedItem,
        PlainItem,
        StoredItem,
        WrittenItem,
    )

    copies = (CachedItem, WrittenItem, IndexedItem, StoredItem, CacheopsItem, CachalotItem)
    call_command("migrate", run_syncdb=True, verbosity=0)
    PlainItem.objects.bulk_create(
        (PlainItem(**values(number)) for number in range(1, ROWS + 1)), batch_size=1000
    )
    source = PlainItem._meta.db_table
    for model in copies:
        table = model._meta.db_table
        execute(f"INSERT INTO {table} SELECT * FROM {source} ORDER BY id")
        execute(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), {ROWS})")
    for model in (PlainItem, *copies):
        # A vacuum in the background would fall into one contender's round and not another's.
        execute(f"ALTER TABLE {model._meta.db_table} SET (autovacuum_enabled = off)")
    execute("VACUUM ANALYZE")


def columns_of(instances: Sequence[Any]) -> list[dict[str, Any]]:
    """What instances hold, to be compared."""
    return [
        {field.attname: getattr(each, field.attname) for field in each._meta.concrete_fields}
        for each in instances
    ]


def vacuum(model: Any) -> None:
    """Leave no dead rows to the next round."""
    execute(f"VACUUM {model._meta.db_table}")


def insert_new(model: Any, count: int) -> list[int]:
    """Add copies of the first rows, past those that are always there; their primary keys."""
    columns = [field.column for field in model._meta.concrete_fields]
    copied = {"id": f"id + {ROWS}", "slug": "'new-' || slug"}
    chosen = ", ".join(copied.get(column, column) for column in columns)
    table = model._meta.db_table
    execute(
        f"INSERT INTO {table} ({', '.join(columns)}) "
        f"SELECT {chosen} FROM {table} WHERE id <= {count}"
    )
    return list(range(ROWS + 1, ROWS + count + 1))


def delete_new(model: Any) -> None:
    """Delete the rows past those that are always there, and give their keys out again."""
    table = model._meta.db_table
    execute(f"DELETE FROM {table} WHERE id > {ROWS}")
    execute(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), {ROWS})")


def execute(sql: str) -> None:
    """Run SQL behind Django's back, and that of every cache."""
    with connection.cursor() as cursor:
        cursor.execute(sql)
