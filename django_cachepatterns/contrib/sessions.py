"""Database sessions, read through the cache: the SESSION_ENGINE.

A session lives in the database as with Django's own engine, so none is lost with the cache; and
each save leaves it in the cache, so that reading it costs no SQL.
"""

from __future__ import annotations

from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.sessions.backends import db
from django.db.models import Model
from django.utils import timezone

from ..managers import reading
from ..policy import CachePolicy

POLICY = CachePolicy(pattern="write_through", ttl=24 * 3600, negative_ttl=None)
"""That of a session model which the settings and its class say nothing of."""

BATCH = 1000
"""Expired sessions that are deleted at once."""


class SessionStore(db.SessionStore):
    """Django's database sessions, read through the cache.

    Derive from it as from Django's, with a `get_model_class()`, for a session model of your own.
    """

    @classmethod
    def followed_models(cls) -> dict[type[Model], CachePolicy]:
        """The models whose writes must be followed, with their policies."""
        return {cls.get_model_class(): POLICY}

    def _get_session_from_db(self) -> Any:
        try:
            session = reading(self.model.objects).get(session_key=self.session_key)
        except self.model.DoesNotExist:
            session = None
        if session is not None and session.expire_date > timezone.now():
            return session
        self._session_key = None
        return None

    async def _aget_session_from_db(self) -> Any:
        return await sync_to_async(self._get_session_from_db)()

    @classmethod
    def clear_expired(cls) -> None:
        """As Django's, in batches: rows are fetched before they go, to tell the cache of them."""
        expired = cls.get_model_class().objects.filter(expire_date__lt=timezone.now())
        left = expired.order_by("pk").values_list("pk", flat=True)
        while keys := list(left[:BATCH]):
            expired.filter(pk__in=keys).delete()
            left = left.filter(pk__gt=keys[-1])

    @classmethod
    async def aclear_expired(cls) -> None:
        """See `clear_expired()`."""
        await sync_to_async(cls.clear_expired)()
