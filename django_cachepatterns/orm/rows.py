"""The cached rows of one model: `get` by primary key, one or many."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from time import perf_counter_ns
from typing import Any
from uuid import UUID

from django.db import connections, router
from django.db.models import AutoField, IntegerField, Model
from django.db.models.sql import Query

from .. import conf, entry, fields, hooks, keys, metrics
from ..exceptions import CodecError, PolicyError, StoreUnavailable
from ..invalidation import registry, versions
from ..keys import KeySpace
from ..metrics.timing import Call
from ..policy import CachePolicy
from ..reader import Reader, is_mark
from ..sources import Loaded
from ..stores import RedisStore, store_of
from ..transactions import open_writes, settle, wrote
from ..transactions.state import in_any_transaction, reads_a_snapshot
from .columns import compares_exactly
from .loading import load_rows
from .lookups import Lookup
from .ordering import order_of
from .shape import Row, RowShape, UnknownShape

_MISSING: Any = object()


class Untranslatable(Exception):
    """The database calls values equal that have different keys: this read is not cacheable."""


class CachedRows:
    """Reads of one model's rows, in one database, for one tenant.

    Args:
        model: the model, or a proxy of it; instances are made of it.
        policy: the model's policy.
        store: where entries live.
        space: the tenant's keys.
        alias: the database that is written, and so the one that entries come from.
        seen_as: what instances say they came from: the alias that reads are routed to.
    """

    def __init__(
        self,
        model: type[Model],
        policy: CachePolicy,
        store: RedisStore,
        space: KeySpace,
        alias: str,
        seen_as: str,
    ) -> None:
        concrete = model._meta.concrete_model or model
        connection = connections[alias]
        self.model, self.policy, self.store = model, policy, store
        self.alias, self.seen_as = alias, seen_as
        self.name = concrete._meta.label_lower
        self.family = space.family(self.name, alias)
        self.shape = RowShape(model, alias, policy.codec)
        self.fingerprint = self.shape.fingerprint
        self.pk = pk = fields.primary_key(model)
        self.version_tags: tuple[bytes, ...] = ()
        """With `invalidation="version"`: the tags that every row depends on."""
        absences = keys.absences(self.family)
        if policy.invalidation == "version":
            self.version_tags = tuple(versions.of_tables(model, alias))
            absences = keys.table(self.family)
        self.tag = absences if compares_exactly(pk, connection) else None
        self.refreshes = policy.stampede in ("stale_while_revalidate", "early_refresh")
        self._plain_pk = _plain_type(pk)
        self._snapshots = reads_a_snapshot(connection)
        self.reader: Reader[Any, Row] = Reader(self, store)
        self.measures, self.meter = self.reader.measures, self.reader.meter
        self._hit = (self.name, "hit")
        self.lookups = {lookup.attnames: lookup for lookup in self._make_lookups(connection)}
        self._lookup_by_name = {
            name: lookup
            for lookup in self.lookups.values()
            if len(lookup.fields) == 1
            for name in (lookup.fields[0].name, lookup.fields[0].attname)
        }
        self._page_names = frozenset(f"{name}__in" for name in ("pk", pk.name, pk.attname))
        self.default_order = order_of(Query(model), model)
        self._pk_names = frozenset(
            name + suffix for name in ("pk", pk.name, pk.attname) for suffix in ("", "__exact")
        )

    # What the manager asks, before any query is built

    def get_by(self, name: str, value: Any) -> Model | None:
        """The instance of `get(name=value)`, or `None` where that is not a plain cacheable read.

        Raises the model's `DoesNotExist`.
        """
        if name in self._pk_names:
            if type(value) is not self._plain_pk:
                return None
            return self._found(self.get(value, quietly=True))
        lookup = self._lookup_by_name.get(name)
        if lookup is None or type(value) is not lookup.plain_type:
            return None
        return self.get_by_lookup(lookup, (value,), quietly=True)

    def is_page(self, name: str, values: Any) -> bool:
        """Whether `filter(name=values)` is several plain primary keys."""
        return (
            name in self._page_names
            and type(values) in (list, tuple, set, frozenset)
            and set(map(type, values)) == {self._plain_pk}
        )

    def get(
        self, pk: Any, call: Call | None = None, *, quietly: bool = False
    ) -> Model | type[Untranslatable] | None:
        """The row of a primary key, `None` where there is none: the hit path.

        Args:
            call: what it is a part of, if something came before.
            quietly: whether not to count that it goes past the cache; who asks again will.
        """
        began = perf_counter_ns() if call is None and (self.measures or hooks.after_read) else 0
        key = self.family + b"%d" % pk if type(pk) is int else keys.row(self.family, pk)
        if (self._snapshots or open_writes.count) and self.must_bypass(key, quietly=quietly):
            return Untranslatable
        if self.version_tags:
            return self._get_versioned(pk, call)
        store = self.store
        try:
            data = store.get(key)
        except StoreUnavailable as error:
            try:
                return self._one(pk, self.reader.without_cache([pk], error, call, began))
            except Untranslatable:
                return Untranslatable
        if (
            data is not None
            and data.startswith(self.shape.head(store.epoch))
            and not (self.refreshes and self.reader.may_be_stale(data))
        ):
            try:
                row = self.shape.decode(entry.payload_of(data))
            except CodecError:
                pass
            else:
                if began:
                    self.meter.hit(began, len(data), key)
                elif self.measures:
                    self.meter.served(1, len(data))
                else:
                    tally = metrics.tally()
                    tally[self._hit] = tally.get(self._hit, 0) + 1
                if hooks.after_read:
                    self.reader.tell((key,), began)
                return self.shape.instances((row,), self.seen_as)[0]
        if data is not None and is_mark(data) and settle(self.alias):
            data = None
        try:
            return self._one(pk, self.reader.resume([pk], [data], call, began))
        except Untranslatable:
            return Untranslatable

    def _get_versioned(self, pk: Any, call: Call | None) -> Model | type[Untranslatable] | None:
        """The same where a row depends on its table's version: one round trip for both."""
        try:
            return self._one(pk, self.reader.read([pk], call))
        except Untranslatable:
            return Untranslatable

    def get_list(self, asked: Sequence[Any], *, quietly: bool = False) -> list[Any] | None:
        """Instances of distinct primary keys in their order, in one round trip.

        Absent ones are left out. `None` where it is not cacheable.

        Args:
            asked: the primary keys.
            quietly: whether not to count that they go past the cache; who asks again will.
        """
        began = perf_counter_ns() if self.measures or hooks.after_read else 0
        family = self.family
        if set(map(type, asked)) == {int}:
            names = [b"%b%d" % (family, pk) for pk in asked]
        else:
            try:
                names = [keys.row(family, pk) for pk in asked]
            except TypeError:
                return None
        if (self._snapshots or open_writes.count) and self.must_bypass(*names, quietly=quietly):
            return None
        try:
            if self.version_tags or self.refreshes:
                rows = self.reader.read(asked)
            else:
                found = self.store.get_many(names)
                hits = self.all_hits(found, names, began)
                if hits is not None:
                    if self.measures:
                        self.meter.took("hit", began, names)
                    return self.shape.instances(hits, self.seen_as)
                rows = self.reader.resume(asked, found, None, began)
        except StoreUnavailable as error:
            try:
                rows = self.reader.without_cache(asked, error, None, began)
            except Untranslatable:
                return None
        except Untranslatable:
            return None
        return self.shape.instances([rows[pk] for pk in asked if pk in rows], self.seen_as)

    def pk_of(self, row: Sequence[Any]) -> Any:
        """The primary key of a row, as entries are asked for by it."""
        return self.key_of(self.shape.value(self.shape.row(row), self.pk.attname))

    @property
    def is_versioned(self) -> bool:
        """Whether a row depends on its table's version (`invalidation="version"`)."""
        return bool(self.version_tags)

    def all_hits(
        self, found: Sequence[bytes | None], names: Sequence[bytes], began: int
    ) -> list[Row] | None:
        """The rows, where every entry is a usable value: the hit path of a page.

        Args:
            found: the entries.
            names: their keys.
            began: when the call began, in nanoseconds of `perf_counter_ns()`; 0: nobody knows.
        """
        start, size = self.shape.head(self.store.epoch), entry.HEADER_SIZE
        payloads = [data[size:] for data in found if data is not None and data.startswith(start)]
        if len(payloads) < len(found):
            return None
        try:
            rows: list[Row] = self.shape.decode_many(payloads)
        except CodecError:
            return None  # The reader finds out which, and heals it.
        self.meter.served(len(rows), sum(map(len, payloads)) + size * len(rows))
        if hooks.after_read:
            self.reader.tell(names, began)
        return rows

    def get_by_lookup(
        self, lookup: Lookup, values: tuple[Any, ...], *, quietly: bool = False
    ) -> Model | None:
        """The row that a lookup's values lead to; `None` where it is not cacheable.

        Raises the model's `DoesNotExist`.

        Args:
            lookup: which.
            values: in its order.
            quietly: whether not to count that it goes past the cache; who asks again will.
        """
        try:
            if self._bypasses_transaction():
                if not quietly:
                    self.count_bypass((lookup.entry_key(values),))
                return None
            remembered = lookup.remembered(values)
            if remembered is not None:
                instance = self.get(remembered, quietly=quietly)
                if isinstance(instance, Model) and lookup.leads_to(instance, values):
                    return instance
                if instance is Untranslatable:
                    return None
            call = Call()
            found = lookup.resolve(values, call)
            if found.uncacheable:
                if not quietly:
                    self.count_bypass((lookup.entry_key(values),))
                return None
        except TypeError:
            return None
        instance = None if found.pk is None else self.get(found.pk, call, quietly=quietly)
        if self.measures:
            self.meter.took(call.kind, call.began)
        if found.pk is None:
            raise self.does_not_exist()
        if isinstance(instance, Model) and lookup.leads_to(instance, values):
            return instance
        # The pointer was right a moment ago: the row has moved, or is equal but not the same.
        lookup.forget(values)
        return None

    def key_of(self, value: Any) -> Any:
        """A value as given to `pk=`, as the primary key that entries are asked for by."""
        return self.pk.get_prep_value(value)

    # The source of the rows, see `sources.Source`

    def entry_key(self, asked: Any) -> bytes:
        return keys.row(self.family, asked)

    def tags(self, asked: Any) -> tuple[bytes, ...]:
        return self.version_tags

    def may_fill(self, asked: Any) -> bool:
        if not open_writes.count:
            return True
        return not any(map(self._wrote, (keys.row(self.family, asked), *self.version_tags)))

    def recipe(self, asked: Any) -> dict[str, Any] | None:
        pk = self.pk.value_to_string(self.model(**{self.pk.attname: asked}))
        return {"kind": "row", "model": self.name, "pk": pk}

    def load(self, asked: Sequence[Any]) -> Loaded:
        filters = {"pk": asked[0]} if len(asked) == 1 else {"pk__in": asked}
        rows, publish = load_rows(self.model, self.alias, filters)
        by_key = {self.entry_key(pk): pk for pk in asked}
        values = {}
        for row in map(self.shape.row, rows):
            pk = self.key_of(self.shape.value(row, self.pk.attname))
            key = keys.row(self.family, pk)
            if key not in by_key:
                raise Untranslatable
            values[by_key[key]] = row
        return Loaded(values, publish)

    def encode(self, value: Row) -> bytes:
        return self.shape.encode(value)

    def decode(self, payload: bytes) -> Row:
        return self.shape.decode(payload)

    # ---

    def must_bypass(self, *names: bytes, quietly: bool = False) -> bool:
        """Whether this thread must read entries from the database: it has written them, or reads
        a snapshot.

        Args:
            names: their keys.
            quietly: whether not to count that.
        """
        if self._snapshots and in_any_transaction(connections[self.alias]):
            pass
        elif open_writes.count and any(map(self._wrote, (*names, *self.version_tags))):
            if settle(self.alias):
                return False
        else:
            return False
        if not quietly:
            self.count_bypass(names)
        return True

    def count_bypass(self, names: Sequence[bytes]) -> None:
        """Count keys that are read from the database without a look at the cache."""
        metrics.count(self.name, "bypass", len(names))
        if hooks.after_read:
            self.reader.tell(names, 0, "bypass")

    def _wrote(self, key: bytes) -> bool:
        return wrote(self.alias, key)

    def _bypasses_transaction(self) -> bool:
        return self.must_bypass(quietly=True)

    def _one(self, pk: Any, rows: Mapping[Any, Row]) -> Model | None:
        row = rows.get(pk)
        return None if row is None else self.shape.instances((row,), self.seen_as)[0]

    def _found(self, instance: Model | type[Untranslatable] | None) -> Model | None:
        if instance is None:
            raise self.does_not_exist()
        return None if instance is Untranslatable else instance  # type: ignore[return-value]

    def does_not_exist(self) -> Exception:
        """What `get()` raises where there is no row."""
        error: type[Exception] = self.model.DoesNotExist  # type: ignore[attr-defined]
        return error(f"{self.model._meta.object_name} matching query does not exist.")

    def _make_lookups(self, connection: Any) -> Iterable[Lookup]:
        for names in self.policy.lookups:
            if not all(fields.is_plain(fields.column(self.model, name)) for name in names):
                continue  # Reads by it go to the database.
            yield Lookup(self, names, connection)


def rows_of(model: type[Model], hints: Mapping[str, Any] | None = None) -> CachedRows | None:
    """The cached rows of a model for this tenant and routing; `None` where reads go past them."""
    config = conf.config()
    if config.tenant is None and not hints and not router.routers:
        rows = config.memo.get(model, _MISSING)
        if rows is _MISSING:
            rows = config.memo[model] = _make(model, config, "default", "default")
        return rows
    hints = hints or {}
    written, read = router.db_for_write(model, **hints), router.db_for_read(model, **hints)
    if hints and written != router.db_for_write(model):
        return None  # A row that came from a replica by using() leads to the replica's rows.
    key = (model, config.key_space().root, written, read)
    return config.remember(key, lambda: _make(model, config, written, read))


def rows_in(model: type[Model], alias: str) -> CachedRows | None:
    """The cached rows of a model for this tenant in one database, wherever its router leads.

    `None` where no reader would use them.
    """
    config = conf.config()
    key = ("rows in", model, config.key_space().root, alias)
    found: CachedRows | None = config.remember(key, lambda: _make(model, config, alias, alias))
    return found


def _reader_of(model: type[Model], alias: str) -> Reader[Any, Row] | None:
    """The reader of a model's rows where they come from this database."""
    rows = rows_of(model)
    return rows.reader if rows is not None and rows.alias == alias else None


registry.row_readers.append(_reader_of)


def _make(model: type[Model], config: conf.Config, alias: str, seen_as: str) -> CachedRows | None:
    if not config.enabled or not fields.is_cacheable(model):
        return None
    policy = conf.policy_of(model)
    if policy.pattern == "cache_aside":
        return None  # No automatic reads; functions and lists are cached where it is said.
    if not compares_exactly(fields.primary_key(model), connections[alias]):
        return None  # A write by `ABC` may be one to the row of `abc`.
    try:
        store = store_of(config)
    except PolicyError:
        return None  # A system check says so.
    try:
        return CachedRows(model, policy, store, config.key_space(), alias, seen_as)
    except UnknownShape:
        return None


def _plain_type(pk: Any) -> type[Any] | None:
    """The type of a key that needs no preparation; `None` where every value does."""
    pk = fields.target(pk)
    prepare = type(pk).get_prep_value
    if prepare is IntegerField.get_prep_value or prepare is AutoField.get_prep_value:
        return int
    if type(pk).__module__ != "django.db.models.fields":
        return None
    return {"UUIDField": UUID, "CharField": str, "SlugField": str}.get(type(pk).__name__)
