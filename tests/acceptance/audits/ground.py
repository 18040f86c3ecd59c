"""The rows that everyone writes and reads: few, so that all are at the same ones."""

from __future__ import annotations

import uuid
from typing import Any

from django_cachepatterns import WriteThrough
from tests.testapp.models import Cafe, Item, Page, UuidRow, Versioned, WrittenPiece

KEYS = range(1, 13)
NAMES = [f"name-{key}" for key in KEYS]


def _load(key: Any) -> Any:
    return Page.objects.nocache().values_list("title", flat=True).get(pk=key)


def _write(key: Any, value: Any) -> None:
    Page.objects.filter(pk=key).update(title=value)


titles = WriteThrough("audited titles", load=_load, write=_write, ttl=600)


def lay() -> None:
    """Make the rows."""
    Item.objects.bulk_create(Item(pk=key, name="a", slug=f"slug-{key}") for key in KEYS)
    WrittenPiece.objects.bulk_create(WrittenPiece(pk=key, slug=f"s{key}") for key in KEYS)
    Versioned.objects.bulk_create(Versioned(pk=key) for key in KEYS)
    Page.objects.bulk_create(Page(pk=key, title="a") for key in KEYS)
    UuidRow.objects.bulk_create(UuidRow(id=uuid_of(key)) for key in KEYS)
    for key in KEYS:
        Cafe(pk=key, name=f"cafe-{key}", seats=key).save(force_insert=True)


def uuid_of(key: int) -> uuid.UUID:
    """The primary key of a row that has no number."""
    return uuid.UUID(int=key)
