from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db import connections
from django.db.models.signals import pre_migrate


class TestAppConfig(AppConfig):
    name = "tests.testapp"
    label = "testapp"

    def ready(self) -> None:
        pre_migrate.connect(_create_extensions, sender=self)


def _create_extensions(using: str, **kwargs: Any) -> None:
    """The tables come from syncdb, which knows no extensions."""
    if connections[using].vendor == "postgresql":
        with connections[using].cursor() as cursor:
            cursor.execute("CREATE EXTENSION IF NOT EXISTS hstore")
            cursor.execute("CREATE EXTENSION IF NOT EXISTS citext")
        # As Django's HStoreExtension does: the connection is older than the type.
        from django.contrib.postgres.signals import get_hstore_oids, register_type_handlers

        get_hstore_oids.cache_clear()
        register_type_handlers(connections[using])
