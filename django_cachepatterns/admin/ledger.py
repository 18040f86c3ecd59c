"""The ledger in the admin: which batches have reached the database, to be read only."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from ..write_behind import registry
from ..write_behind.records import LedgerEntry
from .databases import DatabaseFilter, InDatabases


class BufferFilter(admin.SimpleListFilter):
    """Batches of one buffer. The names are not asked of the table, which is long."""

    title = "buffer"
    parameter_name = "buffer"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(buffer.name, buffer.name) for buffer in registry.buffers()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(buffer=self.value()) if self.value() else queryset


@admin.register(LedgerEntry)
class LedgerEntryAdmin(InDatabases):
    """Without its row in here, a batch that is still in the buffer server is applied once more."""

    list_display = ("batch", "buffer", "rows", "applied_at")
    list_filter = (BufferFilter, DatabaseFilter)
    ordering = ("-applied_at",)
    show_full_result_count = False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
