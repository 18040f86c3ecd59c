"""The queryset whose writes the cache is told of, and how it gets into any manager.

Django sends signals for what `save()` and `delete()` write; what sends none is overridden here.
"""

from __future__ import annotations

import copyreg
from collections.abc import Iterable
from functools import cache
from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from django.db.models.manager import BaseManager

from .orm import many_to_many, writes

M = TypeVar("M", bound=Model)


class TrackedQuerySet(QuerySet[M]):
    """A queryset whose writes are followed; its reads are Django's own."""

    follows_writes = True

    def update(self, **kwargs: Any) -> int:
        """As Django's; the rows it changed are invalidated."""
        return writes.update(self, super().update, kwargs)

    update.alters_data = True  # type: ignore[attr-defined]

    def bulk_create(self, objs: Iterable[M], *args: Any, **kwargs: Any) -> list[M]:
        """As Django's; absences remembered for the model are forgotten."""
        return writes.bulk_create(self, super().bulk_create, list(objs), args, kwargs)

    bulk_create.alters_data = True  # type: ignore[attr-defined]

    def delete(self) -> tuple[int, dict[str, int]]:
        """As Django's; so are the rows of a many-to-many table, for which it sends no signals."""
        return many_to_many.delete(self, super().delete)

    delete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = True  # type: ignore[attr-defined]

    def _raw_delete(self, using: str | None) -> int:
        return writes.raw_delete(self, super()._raw_delete, using or self.db)

    _raw_delete.alters_data = True  # type: ignore[attr-defined]


class _StandIn:
    """Stands in for a class of Django's or of a project's, under its name, and pickles as it."""

    stands_for: type[Any]

    def __reduce_ex__(self, protocol: Any) -> Any:
        made: Any = super().__reduce_ex__(max(2, int(protocol)))
        if "stands_for" not in vars(type(self)) or made[0] is not copyreg.__newobj__:  # type: ignore[attr-defined]
            return made  # Of a class derived from it, such as a related manager's.
        _, (_, *arguments), *state = made
        return (_make, (self.stands_for, *arguments), *state)


class _FollowedManager(_StandIn):
    def get_queryset(self) -> QuerySet[Any]:
        queryset: QuerySet[Any] = super().get_queryset()  # type: ignore[misc]
        if not isinstance(queryset, TrackedQuerySet):
            # Whatever a manager of the project's own has made, not only its `_queryset_class`.
            queryset.__class__ = _stand_in(type(queryset))
        return queryset

    def __eq__(self, other: object) -> bool:
        # As Django's, which migrations ask: this manager is what it was.
        same: bool = self._constructor_args == getattr(other, "_constructor_args", None)  # type: ignore[attr-defined]
        return same and isinstance(other, self.stands_for)

    __hash__ = BaseManager.__hash__


@cache
def _stand_in(kind: Any) -> Any:
    """A class of querysets or managers, with its writes followed.

    What the class overrides stays in front: its own `update()` ends in one that is followed.
    """
    if issubclass(kind, BaseManager):
        bases: tuple[type[Any], ...] = (_FollowedManager, kind)
    elif kind is QuerySet:
        bases = (_StandIn, TrackedQuerySet)
    else:
        bases = (_StandIn, kind, TrackedQuerySet)
    body = {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "stands_for": kind}
    return type(kind.__name__, bases, body)


def is_followed(manager: Any) -> bool:
    """Whether `follow()` was called for a manager."""
    return isinstance(manager, _StandIn)


def follow(manager: Any) -> Any:
    """Have a manager's writes followed, and those of related managers made from it."""
    if not is_followed(manager):
        kind: Any = type(manager)
        manager.__class__ = _stand_in(kind)
    return manager


def unfollow(manager: Any) -> Any:
    """Take `follow()` back."""
    if is_followed(manager):
        manager.__class__ = manager.stands_for
    return manager


def _make(kind: Any, *arguments: Any) -> Any:
    """An unpickled one, of the class that stands in."""
    made = _stand_in(kind)
    return made.__new__(made, *arguments)
