"""An auditor as one would write it at first: it reads an entry, reads the row, and compares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import Model

from django_cachepatterns import entry
from django_cachepatterns.orm.rows import rows_of


def naive(model: type[Model], pks: Sequence[Any]) -> int:
    """How many cached rows it takes for wrong."""
    rows = rows_of(model)
    assert rows is not None
    found = rows.store.get_many([rows.entry_key(pk) for pk in pks])
    in_database = {row.pk: row for row in model._base_manager.nocache().filter(pk__in=pks)}  # type: ignore[attr-defined]
    wrong = 0
    for pk, data in zip(pks, found, strict=True):
        if data is None or not data.startswith(rows.shape.head(rows.store.epoch)):
            continue
        cached = rows.decode(entry.payload_of(data))
        row = in_database.get(pk)
        wrong += row is None or any(getattr(row, name) != cached[name] for name in cached)
    return wrong
