"""The model mixin."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from django.db import DEFAULT_DB_ALIAS, models

from .invalidation import events, versions
from .managers import CachedManager
from .policy import CachePolicy
from .querysets import CachedQuerySet


class CachedModel(models.Model):
    """A model whose reads are read-through and whose writes invalidate.

    `cache_policy` says how; without one the defaults of `CachePolicy` hold.
    """

    cache_policy: ClassVar[CachePolicy] = CachePolicy()

    objects: ClassVar[CachedManager[Any]] = CachedManager()

    class Meta:
        abstract = True

    def save_base(self, *args: Any, **kwargs: Any) -> None:
        """As Django's. A save that fails before its statement takes its announcement back."""
        try:
            super().save_base(*args, **kwargs)
        except BaseException:
            events.abandon(self, kwargs.get("using"))
            raise

    save_base.alters_data = True  # type: ignore[attr-defined]

    def _save_table(self, *args: Any, **kwargs: Any) -> bool:
        # Not around `save_base()`: receivers of `post_save` must find the row committed.
        using = kwargs.get("using") or (args[4] if len(args) > 4 else DEFAULT_DB_ALIAS)
        with versions.locking(type(self), using):
            saved: bool = super()._save_table(*args, **kwargs)  # type: ignore[misc]
        return saved

    def refresh_from_db(
        self,
        using: str | None = None,
        fields: Iterable[str] | None = None,
        from_queryset: models.QuerySet[Any] | None = None,
    ) -> None:
        """As Django's: from the database, never from the cache."""
        if isinstance(from_queryset, CachedQuerySet):
            from_queryset = from_queryset.nocache()
        super().refresh_from_db(using=using, fields=fields, from_queryset=from_queryset)
