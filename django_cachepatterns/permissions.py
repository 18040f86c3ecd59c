"""What a user may do on the dashboard."""

from __future__ import annotations

from django.db import models

from .conf import require_app

require_app()  # Django would complain of the model below, of which nobody has heard.

APP = "django_cachepatterns"
VIEW = f"{APP}.view_dashboard"
OPERATE = f"{APP}.operate_cache"
READ_PAYLOADS = f"{APP}.view_payloads"


class Dashboard(models.Model):
    """The dashboard. It has no table and no rows: Django wants a model to hang permissions on, and
    the admin one to list."""

    class Meta:
        managed = False
        default_permissions = ()
        permissions = (
            ("view_dashboard", "Can view the dashboard"),
            ("operate_cache", "Can invalidate, warm, flush and retry on the dashboard"),
            ("view_payloads", "Can read what cache entries hold on the dashboard"),
        )
        verbose_name = "dashboard"
        verbose_name_plural = "dashboard"

    def __str__(self) -> str:
        return "dashboard"
