"""Models as a third-party app has them: nobody can edit them, and their managers are their own."""

from __future__ import annotations

from typing import Any

from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models

from django_cachepatterns.contrib.sessions import SessionStore


class ClerkQuerySet(models.QuerySet[Any]):
    def update(self, **kwargs: Any) -> int:
        return super().update(**{"touched": True, **kwargs})

    def senior(self) -> ClerkQuerySet:
        return self.filter(grade__gt=5)


class ClerkManager(models.Manager[Any]):
    use_in_migrations = True

    def get_queryset(self) -> ClerkQuerySet:
        return ClerkQuerySet(self.model, using=self._db)

    def promote(self, name: str) -> int:
        return self.filter(name=name).update(grade=9)


class PresentManager(models.Manager[Any]):
    def get_queryset(self) -> models.QuerySet[Any]:
        return super().get_queryset().filter(present=True)


class Office(models.Model):
    name = models.CharField(max_length=40)


class AbstractClerk(models.Model):
    objects = ClerkManager()

    class Meta:
        abstract = True


class Clerk(AbstractClerk):
    name = models.CharField(max_length=40)
    grade = models.IntegerField(default=0)
    touched = models.BooleanField(default=False)
    present = models.BooleanField(default=True)
    office = models.ForeignKey(Office, null=True, on_delete=models.SET_NULL, related_name="clerks")
    desks = models.ManyToManyField("Desk", related_name="clerks")


class Desk(models.Model):
    name = models.CharField(max_length=40)


class PresentClerk(Clerk):
    objects = PresentManager()

    class Meta:
        proxy = True


class HeadClerk(Clerk):
    """A child: what it writes is partly its parent's row."""

    bell = models.BooleanField(default=False)


class Intern(AbstractClerk):
    """Has the same manager by inheritance, and is followed by nobody."""

    name = models.CharField(max_length=40)
    touched = models.BooleanField(default=False)


class AccountSession(AbstractBaseSession):
    """A session model of a project's own, as Django's documentation has it."""

    account_id = models.IntegerField(null=True, db_index=True)

    @classmethod
    def get_session_store_class(cls) -> type[SessionStore]:
        return AccountSessionStore


class AccountSessionStore(SessionStore):
    @classmethod
    def get_model_class(cls) -> type[AccountSession]:
        return AccountSession

    def create_model_instance(self, data: dict[str, Any]) -> AccountSession:
        made: AccountSession = super().create_model_instance(data)
        made.account_id = data.get("_auth_user_id")
        return made
