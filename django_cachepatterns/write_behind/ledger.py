"""The ledger: which batches have reached the database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone

from .records import LedgerEntry

_SAYS_NOTHING = ("postgresql", "sqlite")
"""Databases that are told by ON CONFLICT DO NOTHING that a row which is there already is no error.
MySQL's INSERT IGNORE would take any other fault of the row for that, too."""


def record(connection: BaseDatabaseWrapper, batch: str, buffer: str, rows: int) -> bool:
    """Say in the open transaction that a batch is applied. Returns whether it had not been.

    Where another transaction is applying the same batch, this waits for its end.
    """
    fields: Any = LedgerEntry._meta.concrete_fields
    values: tuple[Any, ...] = (UUID(batch), buffer, rows, timezone.now())
    if connection.vendor not in _SAYS_NOTHING:
        return _recorded_or_refused(connection, values)
    params = [
        field.get_db_prep_save(value, connection)
        for field, value in zip(fields, values, strict=True)
    ]
    quote = connection.ops.quote_name
    columns = ", ".join(quote(field.column) for field in fields)
    places = ", ".join(["%s"] * len(params))
    table = quote(LedgerEntry._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({columns}) VALUES ({places}) ON CONFLICT DO NOTHING", params
        )
        return bool(cursor.rowcount)


def _recorded_or_refused(connection: BaseDatabaseWrapper, values: tuple[Any, ...]) -> bool:
    names = [field.attname for field in LedgerEntry._meta.concrete_fields]
    entry = LedgerEntry(**dict(zip(names, values, strict=True)))
    try:
        with transaction.atomic(using=connection.alias):
            entry.save(using=connection.alias, force_insert=True)
    except IntegrityError:
        if not LedgerEntry.objects.using(connection.alias).filter(pk=entry.pk).exists():
            raise
        return False
    return True


def applied(alias: str, batches: Sequence[str]) -> set[str]:
    """Those of some batches that have reached the database."""
    if not batches:
        return set()
    found = LedgerEntry.objects.using(alias).filter(pk__in=[UUID(each) for each in batches])
    return {batch.hex for batch in found.values_list("pk", flat=True)}


def prune(alias: str, keep: timedelta, waiting: Iterable[str] = ()) -> int:
    """Forget batches that were applied longer ago than that. Returns how many.

    Args:
        waiting: the ids of batches that are not forgotten, because they are still in a buffer.
    """
    old = LedgerEntry.objects.using(alias).filter(applied_at__lt=timezone.now() - keep)
    if kept := [UUID(batch) for batch in waiting]:
        old = old.exclude(pk__in=kept)
    return old._raw_delete(alias) or 0
