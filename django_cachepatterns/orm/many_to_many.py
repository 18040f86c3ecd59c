"""Writes to the many-to-many tables that Django makes: it sends no signals for their rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from django.db import router, transaction
from django.db.models import Model, QuerySet
from django.db.models.deletion import Collector

from ..invalidation import registry, touched, versions
from ..transactions import write_log, writing
from . import writes

Deleted = tuple[int, dict[str, int]]


def delete(queryset: QuerySet[Any], plain: Callable[[], Deleted]) -> Deleted:
    """Run a queryset's `delete()`; where Django would fetch the rows first, they are marked."""
    model = queryset.model
    if not model._meta.auto_created or not registry.targets_of(model) or queryset.query.is_sliced:
        return plain()
    queryset._for_write = True  # type: ignore[attr-defined]
    alias = queryset.db
    if Collector(using=alias).can_fast_delete(queryset):
        return plain()
    with transaction.atomic(using=alias, savepoint=False):
        write_log(alias).begin(_touched_by(model, writes._lock(queryset, alias), alias))
        return plain()


def before_delete(sender: type[Model], instance: Model, using: str, **kwargs: Any) -> None:
    """Receives the delete of a row at either end, whose many-to-many rows go with it.

    Only where Django fetches those first, for the sake of somebody who listens to all deletes;
    what it deletes in one statement is followed there.
    """
    for link in registry.links_to(sender):
        rows = link.through._base_manager.using(using).filter(**{link.field: instance.pk})
        if not Collector(using=using).can_fast_delete(rows):
            pks = rows.values_list("pk", flat=True)
            write_log(using).queue(_touched_by(link.through, pks, using))


def _touched_by(model: type[Model], pks: Iterable[Any], alias: str) -> Iterator[bytes]:
    yield from touched.by_keys(model, pks, alias)
    yield from versions.of_any_value(model, alias)


def follow_instances(through: type[Model]) -> None:
    """Have `save()` and `delete()` of a table's instances followed: an admin inline uses them."""
    through.save_base = _save_base  # type: ignore[assignment, method-assign]
    through.delete = _delete  # type: ignore[method-assign]


def leave_instances(through: type[Model]) -> None:
    """Take `follow_instances()` back."""
    for name in ("save_base", "delete"):
        if name in vars(through):
            delattr(through, name)


def _save_base(self: Model, **kwargs: Any) -> None:
    alias = kwargs.get("using") or router.db_for_write(type(self), instance=self)
    with writing(alias, lambda: _touched_by_instance(self, alias)):
        Model.save_base(self, **{**kwargs, "using": alias})


def _delete(self: Model, using: str | None = None, keep_parents: bool = False) -> Deleted:
    alias = using or router.db_for_write(type(self), instance=self)
    with writing(alias, lambda: _touched_by_instance(self, alias)):
        return Model.delete(self, using=alias, keep_parents=keep_parents)


def _touched_by_instance(instance: Model, alias: str) -> Iterator[bytes]:
    yield from touched.by_save(instance, alias)
    yield from versions.of_any_value(type(instance), alias)


_save_base.alters_data = True  # type: ignore[attr-defined]
_delete.alters_data = True  # type: ignore[attr-defined]
