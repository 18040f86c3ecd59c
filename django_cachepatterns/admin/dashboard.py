"""The dashboard's place in the admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import URLPattern

from ..dashboard.access import may_view
from ..dashboard.pages import Pages
from ..permissions import Dashboard


@admin.register(Dashboard)
class DashboardAdmin(admin.ModelAdmin):
    """Listed on the admin's index for whom it is for; its pages are in `dashboard.pages`."""

    def get_urls(self) -> list[URLPattern]:
        """The dashboard's own, and none of a model's."""
        return Pages(self.admin_site).urls()

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_view(request)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return may_view(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
