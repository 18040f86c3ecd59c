"""The manager that reads rows through the cache, and one for models that cannot be edited."""

from __future__ import annotations

from functools import cache
from typing import Any, TypeVar, cast

from django.db.models import Manager, Model
from django.db.models.query import ModelIterable

from .exceptions import PolicyError
from .invalidation import registry
from .orm.pinned import asks_for_whole_rows
from .orm.rows import rows_of
from .querysets import CachedQuerySet

M = TypeVar("M", bound=Model)

_Base = Manager.from_queryset(CachedQuerySet, "_Base")


class CachedManager(_Base[M]):
    """Reads by primary key or lookup are read-through; every write invalidates.

    Combine it with a project's own queryset by `CachedManager.from_queryset(...)`. A
    `get_queryset()` that filters is respected: reads through it go to the database.
    """

    def get(self, *args: Any, **kwargs: Any) -> M:
        """As Django's. On a hit no query is built, let alone run."""
        if len(kwargs) == 1 and not args and self._is_plain():
            rows = rows_of(self.model)
            if rows is not None:
                ((name, value),) = kwargs.items()
                instance = rows.get_by(name, value)
                if instance is not None:
                    return cast(M, instance)
        return self.get_queryset().get(*args, **kwargs)

    def filter(self, *args: Any, **kwargs: Any) -> CachedQuerySet[M]:
        """As Django's. Of a page by primary key the query is built only if it must be run."""
        if len(kwargs) == 1 and not args and self._is_plain():
            rows = rows_of(self.model)
            ((name, values),) = kwargs.items()
            if rows is not None and rows.is_page(name, values):
                queryset = cast(CachedQuerySet[M], self.get_queryset())
                # Django's own way to put a filter off, which its related managers use.
                queryset._page_keys = page = tuple(values)
                queryset._deferred_filter = (False, (), {name: page})
                return queryset
        return cast(CachedQuerySet[M], self.get_queryset().filter(*args, **kwargs))

    def _is_plain(self) -> bool:
        """Whether this manager is all rows, as they are routed."""
        hints = self._hints  # type: ignore[attr-defined]
        return self._db is None and not hints and _is_plain_class(cast(Any, type(self)))


@cache
def _is_plain_class(kind: Any) -> bool:
    """Whether nothing between `get()` and the rows was overridden."""
    queryset = kind._queryset_class
    return kind.get_queryset is Manager.get_queryset and all(
        getattr(queryset, name) is getattr(CachedQuerySet, name)
        for name in ("__init__", "get", "filter", "_filter_or_exclude", "_fetch_all", "_is_plain")
    )


def read_through(model: type[M]) -> CachedManager[M]:
    """A manager that reads a model's rows through the cache, whatever its own managers do.

    It is of all rows: what a manager of the model's own leaves out is not left out here.

    Args:
        model: one that is cached or followed: see the setting POLICIES.

    Raises `PolicyError` for anything else, and where the model's writes are not followed.
    """
    if not (isinstance(model, type) and issubclass(model, Model)):
        raise PolicyError(f"read_through() got {model!r}. Give it a model class.")
    if not registry.is_tracked(model):
        label = model._meta.label
        raise PolicyError(
            f"{label} cannot be read through the cache: its writes are not followed. "
            f"Name it in CACHEPATTERNS['POLICIES']: {{'{label}': {{}}}}, and have "
            "'django_cachepatterns' in INSTALLED_APPS."
        )
    return cast(CachedManager[M], _read_through(model))


def reading(manager: Manager[M]) -> Manager[M]:
    """What gives a manager's rows through the cache, where those are all rows; else itself.

    Raises `PolicyError` where the model's writes are not followed.
    """
    queryset: Any = manager.get_queryset()
    query = queryset.query
    whole = (
        not query.where
        and asks_for_whole_rows(query)
        and queryset._iterable_class is ModelIterable
        and queryset._db is None
    )
    rows = read_through(manager.model)
    return rows if whole else manager


@cache
def _read_through(model: type[Model]) -> CachedManager[Any]:
    manager: CachedManager[Any] = CachedManager()
    manager.model = model
    manager.name = "read_through"
    return manager
