"""Tables that are in each database that buffers are flushed to: which one is shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.db import router
from django.db.models import Model, QuerySet
from django.http import HttpRequest, QueryDict

from ..write_behind import registry

PARAMETER = "database"


def databases(model: type[Model]) -> list[str]:
    """The databases that buffers are flushed to; the one that is shown unless another is chosen
    comes first."""
    usual = router.db_for_read(model)
    found = dict.fromkeys(buffer.alias for buffer in registry.buffers())
    return sorted(found, key=lambda alias: (alias != usual, alias)) or [usual]


def chosen(request: HttpRequest, model: type[Model]) -> str:
    """The database that a request asks for.

    The pages of one row are asked for with the filters of the list that led to them.
    """
    known = databases(model)
    for asked in (request.GET, QueryDict(request.GET.get("_changelist_filters", ""))):
        if asked.get(PARAMETER) in known:
            return str(asked[PARAMETER])
    return known[0]


class DatabaseFilter(admin.SimpleListFilter):
    """Chooses the database, where there are several."""

    title = "database"
    parameter_name = PARAMETER

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        known = databases(model_admin.model)
        return [(alias, alias) for alias in known] if len(known) > 1 else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset  # It is of that database from the beginning.

    def choices(self, changelist: Any) -> Iterator[Any]:
        current = self.value() or self.lookup_choices[0][0]
        for alias, shown in self.lookup_choices:
            yield {
                "selected": alias == current,
                "query_string": changelist.get_query_string({PARAMETER: alias}),
                "display": shown,
            }


class InDatabases(admin.ModelAdmin):
    """The admin of such a table, which nobody edits by hand."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).using(chosen(request, self.model))

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        obj.delete(using=obj._state.db)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
