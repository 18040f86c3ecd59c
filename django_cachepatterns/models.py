"""The model mixin."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from django.db import DEFAULT_DB_ALIAS, models, transaction

from .invalidation import events, touched, versions
from .managers import CachedManager
from .permissions import Dashboard
from .policy import CachePolicy
from .querysets import CachedQuerySet
from .write_behind.records import DeadLetter, DirectWrite, LedgerEntry

__all__ = ["CachedModel", "Dashboard", "DeadLetter", "DirectWrite", "LedgerEntry"]


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

    def _save_table(
        self,
        raw: bool = False,
        cls: Any = None,
        force_insert: bool = False,
        force_update: bool = False,
        using: str | None = None,
        update_fields: Any = None,
    ) -> bool:
        # Not around `save_base()`: receivers of `post_save` must find the row committed.
        def save() -> bool:
            given = (raw, cls, force_insert, force_update, using, update_fields)
            return bool(super(CachedModel, self)._save_table(*given))  # type: ignore[misc]

        alias = using or DEFAULT_DB_ALIAS
        if not versions.has_indexes(type(self), alias):
            return save()
        inserts = force_insert or (
            # As Django has it.
            not (raw or force_update) and self._state.adding and _has_default((cls or self)._meta)
        )
        # A transaction, so that the row stays as it was found when it was locked.
        with transaction.atomic(using=alias, savepoint=False), touched.inserting(self, inserts):
            return save()

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


def _has_default(meta: Any) -> bool:
    return all(field.has_default() or field.has_db_default() for field in meta.pk_fields)
