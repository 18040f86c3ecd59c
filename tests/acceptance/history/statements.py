"""The ways in which Django changes, makes and deletes a row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.models import F

Changes = dict[str, Any]
Change = Callable[[Any, Changes], object]


def save(row: Any, changes: Changes) -> None:
    _set(row, changes)
    row.save()


def save_fields(row: Any, changes: Changes) -> None:
    _set(row, changes)
    row.save(update_fields=list(changes))


def save_expression(row: Any, changes: Changes) -> None:
    _set(row, {**changes, "stock": F("stock") + changes["stock"] - row.stock})
    row.save(update_fields=list(changes))
    _set(row, changes)


def update(row: Any, changes: Changes) -> None:
    type(row).objects.filter(pk=row.pk).update(**changes)
    _set(row, changes)


def update_expression(row: Any, changes: Changes) -> None:
    raised = {**changes, "stock": F("stock") + changes["stock"] - row.stock}
    type(row).objects.filter(pk=row.pk).update(**raised)
    _set(row, changes)


def update_by_slug(row: Any, changes: Changes) -> None:
    type(row).objects.filter(slug=row.slug).update(**changes)
    _set(row, changes)


def bulk_update(row: Any, changes: Changes) -> None:
    _set(row, changes)
    type(row).objects.bulk_update([row], list(changes))


def update_or_create(row: Any, changes: Changes) -> None:
    type(row).objects.update_or_create(pk=row.pk, defaults=changes)
    _set(row, changes)


def upsert(row: Any, changes: Changes) -> None:
    _set(row, changes)
    type(row).objects.bulk_create(
        [row], update_conflicts=True, unique_fields=["id"], update_fields=list(changes)
    )


def insert(row: Any) -> None:
    row.save(force_insert=True)


def save_new(row: Any) -> None:
    row.save()  # Django tries an UPDATE first, because the key is known.


def bulk_create(row: Any) -> None:
    type(row).objects.bulk_create([row])


def get_or_create(row: Any) -> None:
    type(row).objects.get_or_create(pk=row.pk, defaults=_values(row))


def create_by_update_or_create(row: Any) -> None:
    type(row).objects.update_or_create(pk=row.pk, defaults=_values(row))


def delete(row: Any) -> None:
    row.delete()


def delete_by_query(row: Any) -> None:
    type(row).objects.filter(pk=row.pk).delete()


CHANGES: dict[bool, tuple[Change, ...]] = {
    True: (save, save_fields, save_expression, update_or_create),
    False: (
        save,
        save_fields,
        save_expression,
        update,
        update_expression,
        update_by_slug,
        bulk_update,
        update_or_create,
        upsert,
    ),
}
"""By whether they must send signals."""

CREATIONS: dict[bool, tuple[Callable[[Any], None], ...]] = {
    True: (insert, save_new, get_or_create, create_by_update_or_create),
    False: (insert, save_new, bulk_create, get_or_create, create_by_update_or_create),
}

DELETIONS: tuple[Callable[[Any], None], ...] = (delete, delete_by_query)


def _set(row: Any, changes: Changes) -> None:
    for name, value in changes.items():
        setattr(row, name, value)


def _values(row: Any) -> Changes:
    names = (field.attname for field in row._meta.concrete_fields if not field.primary_key)
    return {name: getattr(row, name) for name in names}
