"""The queryset that reads rows through the cache, and tells it of every write (`tracked`).

Reads that pin whole rows are served from the cache, others where `cache()` was said.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from django.core.exceptions import ObjectDoesNotExist
from django.db.models import Model, QuerySet
from django.db.models.query import ModelIterable

from .exceptions import UncacheableQuery
from .orm.lists import CachedResults, CacheOptions, options_of, results_of, rows_age
from .orm.ordering import Order, order_of
from .orm.peers import adopt
from .orm.pinned import Pinned, asks_for_whole_rows, pinned
from .orm.rows import CachedRows, Untranslatable, rows_of
from .tracked import TrackedQuerySet

M = TypeVar("M", bound=Model)


class CachedQuerySet(TrackedQuerySet[M]):
    """A queryset whose reads by primary key or lookup are read-through.

    Combine it with a project's own: `class ProductQuerySet(CachedQuerySet): ...` and
    `objects = CachedManager.from_queryset(ProductQuerySet)()`.
    """

    reads_through = True
    _nocache = False
    _cache_options: CacheOptions | None = None
    _page_keys: tuple[Any, ...] | None = None

    if TYPE_CHECKING:
        # What Django's own methods, and its documented subclasses, keep in a queryset.
        _db: str | None
        _hints: dict[str, Any]
        _for_write: bool
        _known_related_objects: dict[Any, Any]
        _deferred_filter: tuple[bool, tuple[Any, ...], dict[str, Any]] | None

    def nocache(self) -> CachedQuerySet[M]:
        """The same query, read from the database."""
        clone: CachedQuerySet[M] = self._chain()  # type: ignore[attr-defined]
        clone._nocache = True
        return clone

    def cache(
        self,
        ttl: float | timedelta | None = None,
        *,
        tags: Iterable[str] | str = (),
        **policy: Any,
    ) -> CachedQuerySet[M]:
        """The same query, with its result cached, and that of `count()` and the like.

        It stays until a write to one of its tables, or to a row with the value that it pins one of
        the policy's `indexes` to.

        Args:
            ttl: seconds that it may live at most; the policy's where it is left out.
            tags: names that it depends on besides, for `invalidate("name")`.
            policy: other values of `CachePolicy`, laid over the model's.

        Raises `PolicyError` where one of these is wrong; evaluating it raises `UncacheableQuery`
        where what it depends on cannot be known.
        """
        clone: CachedQuerySet[M] = self._chain()  # type: ignore[attr-defined]
        clone._cache_options = options_of(ttl, tags, policy, self.model)
        clone._nocache = False
        return clone

    # Reads

    def _fetch_all(self) -> None:
        if self._result_cache is None:
            found = self._read_through()
            results = self._results() if found is None else None
            if results is not None:
                found = results.fetch()
            if found is not None:
                self._result_cache = found
        super()._fetch_all()

    def count(self) -> int:
        """As Django's; cached where the queryset is."""
        results = self._results()
        return super().count() if results is None else results.scalar("count")

    def exists(self) -> bool:
        """As Django's; cached where the queryset is."""
        results = self._results()
        return super().exists() if results is None else results.scalar("exists")

    def aggregate(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """As Django's; cached where the queryset is."""
        results = self._results(whole=True)
        named = None if results is None else _named_aggregates(args, kwargs)
        if results is None or named is None:
            return super().aggregate(*args, **kwargs)  # Or Django says what is wrong with it.
        found: dict[str, Any] = results.scalar("aggregate", named)
        return found

    def raw(self, *args: Any, **kwargs: Any) -> Any:
        """As Django's; refused where the queryset is cached: nobody knows what SQL depends on."""
        if self._cache_options is not None:
            raise UncacheableQuery(
                "raw() is not cached: what its SQL depends on is not known. Put it into a function "
                "with @cache_aside(..., depends_on=[...]), or leave .cache() out."
            )
        return super().raw(*args, **kwargs)

    def _results(self, whole: bool = False) -> CachedResults | None:
        """The cached results; `None` where there are none, or (unless `whole`) it is evaluated."""
        if self._cache_options is None or (self._result_cache is not None and not whole):
            return None
        return results_of(self, self._cache_options)

    def first(self) -> M | None:
        """As Django's; a hit where the query pins one row."""
        pins = self._pins()
        if pins is not None and pins.keys is None:
            found = self._instances(pins)
            if found is not None:
                return self._finished(found)[0] if found else None
        return super().first()

    def in_bulk(
        self, id_list: Iterable[Any] | None = None, *, field_name: str = "pk"
    ) -> dict[Any, M]:
        """As Django's; by primary key it is one round trip to the cache."""
        if id_list is not None and field_name == "pk":
            # Django asks in batches where a database limits parameters; the cache need not.
            id_list = list(id_list)
            rows = self._rows() if self._is_everything() else None
            keys = list(dict.fromkeys(map(rows.key_of, id_list))) if rows else []
            found = rows.get_list(keys, quietly=True) if rows and keys else None
            if found is not None:
                return {instance.pk: instance for instance in self._finished(found)}
        return super().in_bulk(id_list, field_name=field_name)

    def _read_through(self) -> list[Any] | None:
        if self._page_keys is not None and self._deferred_filter is not None:
            # Nothing was asked since the manager put the filter off.
            rows = self._rows()
            order = rows and rows.default_order
            return None if not rows or not order else self._list(rows, order, self._page_keys)
        pins = self._pins()
        if pins is None:
            return None
        if pins.keys is None:
            return None if self._refreshes(pins) else self._instances(pins)
        order = order_of(self.query, self.model)
        rows = self._rows()
        if order is None or rows is None or self.query.is_sliced:
            return None
        return self._list(rows, order, map(rows.key_of, pins.keys))

    def _list(self, rows: CachedRows, order: Order, pks: Iterable[Any]) -> list[Any] | None:
        """Several rows in an order, or `None` where they are not cacheable."""
        try:
            found = rows.get_list(order.arrange(pks))
        except TypeError:
            return None
        return None if found is None else adopt(self, found)

    def _instances(self, pins: Pinned) -> list[Any] | None:
        """The row that equality pins, as a list of one or none."""
        rows = self._rows()
        if rows is None:
            return None
        try:
            instance = _read_one(rows, pins.equal)
        except ObjectDoesNotExist:
            return []
        return None if instance is None else adopt(self, [instance])

    def _refreshes(self, pins: Pinned) -> bool:
        """Whether this is `refresh_from_db()`: an instance that asks for its own row."""
        asking = self._hints.get("instance")
        pk = self.model._meta.pk
        return (
            isinstance(asking, self.model)
            and pk is not None
            and pins.equal == {pk.attname: asking.pk}
        )

    def _finished(self, instances: list[Any]) -> list[Any]:
        """The instances with their prefetches done."""
        holder: CachedQuerySet[M] = self._chain()  # type: ignore[attr-defined]
        holder._result_cache = instances
        QuerySet._fetch_all(holder)
        return instances

    def _pins(self) -> Pinned | None:
        return pinned(self.query, self.model) if self._is_plain() else None

    def _is_plain(self) -> bool:
        """Whether this reads instances of its own model where reads are routed to."""
        return (
            not self._nocache
            and self._db is None
            and not self._for_write
            and self._iterable_class is ModelIterable
            and not self._known_related_objects
        )

    def _is_everything(self) -> bool:
        """Whether this is all rows, whole, in whatever order."""
        query = self.query
        return (
            self._is_plain()
            and not query.where
            and not query.is_sliced
            and asks_for_whole_rows(query)
        )

    def _rows(self) -> CachedRows | None:
        if self._cache_options is not None and rows_age(self.model):
            return None
        return rows_of(self.model, self._hints)

    def _clone(self) -> CachedQuerySet[M]:
        clone: CachedQuerySet[M] = super()._clone()  # type: ignore[misc]
        clone._nocache = self._nocache
        clone._cache_options = self._cache_options
        return clone


def _named_aggregates(args: Iterable[Any], kwargs: dict[str, Any]) -> dict[str, Any] | None:
    """Aggregates by name, in Django's order; `None` where Django would refuse them."""
    named = dict(kwargs)
    for each in args:
        try:
            named[each.default_alias] = each
        except (AttributeError, TypeError):
            return None
    return named if all(hasattr(each, "resolve_expression") for each in named.values()) else None


def _read_one(rows: CachedRows, equal: dict[str, Any]) -> Any:
    """The instance, or `None` where this is no cacheable read. Raises `DoesNotExist`."""
    names: Collection[str] = equal.keys()
    if names == {rows.pk.attname}:
        value = equal[rows.pk.attname]
        if value is None:
            return None
        try:
            found = rows.get(rows.key_of(value))
        except TypeError:
            return None
        if found is None:
            raise rows.does_not_exist()
        return None if found is Untranslatable else found
    lookup = rows.lookups.get(frozenset(names))
    return None if lookup is None else rows.get_by_lookup(lookup, lookup.arrange(equal))
