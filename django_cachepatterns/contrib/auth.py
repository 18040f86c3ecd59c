"""An authentication backend that reads `request.user` through the cache."""

from __future__ import annotations

from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.contrib.auth.backends import ModelBackend
from django.db.models import Model

from ..managers import reading
from ..policy import CachePolicy


class CachedModelBackend(ModelBackend):
    """Django's `ModelBackend`, with the user of a request as a cache hit.

    In place of it in AUTHENTICATION_BACKENDS; all writes of the user model are followed then.
    Logging in reads the database, and so do permissions. Where the user model's default manager
    filters, or joins, so does every request.
    """

    @classmethod
    def followed_models(cls) -> dict[type[Model], CachePolicy]:
        """The models whose writes must be followed, with their policies."""
        return {get_user_model(): CachePolicy()}

    def get_user(self, user_id: Any) -> Any:
        """As Django's: the user, unless there is none or it is inactive."""
        model = get_user_model()
        try:
            user = reading(model._default_manager).get(pk=user_id)
        except model.DoesNotExist:
            return None
        return user if self.user_can_authenticate(user) else None

    async def aget_user(self, user_id: Any) -> Any:
        """See `get_user()`."""
        return await sync_to_async(self.get_user)(user_id)
