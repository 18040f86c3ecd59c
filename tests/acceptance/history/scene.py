"""Where the processes of a run meet: one database, one part of the cache."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import django
from django.conf import settings


@dataclass(frozen=True, slots=True)
class Scene:
    """What a new process needs to know to be where its parent is."""

    database: str
    cachepatterns: Mapping[str, Any]
    session_engine: str = "django.contrib.sessions.backends.db"

    @classmethod
    def here(cls, **changes: Any) -> Scene:
        """This process's own, with some of the library's settings changed."""
        from django.db import connection

        return cls(connection.settings_dict["NAME"], {**settings.CACHEPATTERNS, **changes})

    def enter(self) -> None:
        """Set Django up. Models can be imported from then on."""
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
        settings.DATABASES["default"]["NAME"] = self.database
        settings.CACHEPATTERNS = dict(self.cachepatterns)
        settings.SESSION_ENGINE = self.session_engine
        django.setup()
