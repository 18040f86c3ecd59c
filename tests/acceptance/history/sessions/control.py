"""Django's own cached sessions."""

from __future__ import annotations

from django.conf import settings
from django.contrib.sessions.backends import cached_db


class SessionStore(cached_db.SessionStore):
    """Under the run's prefix, so that it is deleted with everything else."""

    @property
    def cache_key_prefix(self) -> str:  # type: ignore[override]
        return f"{settings.CACHEPATTERNS['KEY_PREFIX']}:session"
