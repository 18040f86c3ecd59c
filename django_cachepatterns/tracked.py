"""The queryset whose writes the cache is told of.

Django sends signals for what `save()` and `delete()` write; what sends none is overridden here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from django.db.models import Model, QuerySet

from .orm import writes

M = TypeVar("M", bound=Model)


class TrackedQuerySet(QuerySet[M]):
    """A queryset whose writes are followed; its reads are Django's own."""

    follows_writes = True

    def update(self, **kwargs: Any) -> int:
        """As Django's; the rows it changed are invalidated."""
        return writes.update(self, super().update, kwargs)

    update.alters_data = True  # type: ignore[attr-defined]

    def bulk_create(self, objs: Iterable[M], *args: Any, **kwargs: Any) -> list[M]:
        """As Django's; absences remembered for the model are forgotten."""
        return writes.bulk_create(self, super().bulk_create, list(objs), args, kwargs)

    bulk_create.alters_data = True  # type: ignore[attr-defined]

    def _raw_delete(self, using: str | None) -> int:
        return writes.raw_delete(self, super()._raw_delete, using or self.db)

    _raw_delete.alters_data = True  # type: ignore[attr-defined]
