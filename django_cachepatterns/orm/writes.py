"""Queryset writes that send no signals."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connections, transaction
from django.db.models import Model, Q, QuerySet
from django.db.models.sql import DeleteQuery, UpdateQuery

from .. import fields
from ..invalidation import touched, versions
from ..invalidation.registry import targets_of
from ..invalidation.versions import Row
from ..transactions import WriteLog, settle, write_log, writing
from ..transactions.callbacks import undo_with_testcase


def update(queryset: QuerySet[Any], plain: Callable[..., int], values: dict[str, Any]) -> int:
    """Run an `update()` and mark the rows that it changed before they are committed."""
    query = queryset.query
    if (
        not targets_of(queryset.model)
        or query.is_sliced
        or query.combinator
        or query.distinct_fields
    ):
        return plain(**values)
    queryset._for_write = True  # type: ignore[attr-defined]
    alias = queryset.db
    # Outside of the block, which an error would break.
    prepared = _prepared_update(queryset, values, alias)
    with transaction.atomic(using=alias, savepoint=False):
        log = write_log(alias)
        if prepared is None:
            count = _update_locked(queryset, values, alias, log)
        else:
            count = _update_returning(queryset, prepared, alias, log)
            queryset._result_cache = None
    settle(alias)
    return count


def bulk_create(
    queryset: QuerySet[Any],
    plain: Callable[..., list[Any]],
    objs: list[Any],
    args: Sequence[Any],
    kwargs: dict[str, Any],
) -> list[Any]:
    """Run a `bulk_create()`: absences are forgotten, and rows that it updated are marked."""
    model = queryset.model
    if not objs or not targets_of(model):
        return plain(objs, *args, **kwargs)
    queryset._for_write = True  # type: ignore[attr-defined]
    alias = queryset.db

    def inserted() -> Iterator[bytes]:
        yield from touched.by_insert(model, alias)
        if versions.has_indexes(model, alias):
            values = [obj.__dict__.__getitem__ for obj in objs]
            yield from versions.of_values(model, values, alias)

    if not kwargs.get("update_conflicts") and (len(args) < 3 or not args[2]):
        with writing(alias, inserted):
            created = plain(objs, *args, **kwargs)
        pks = [obj.pk for obj in created if obj.pk is not None]
        undo_with_testcase(
            connections[alias], lambda: chain(touched.by_keys(model, pks, alias), inserted())
        )
        return created
    with transaction.atomic(using=alias, savepoint=False), writing(alias, inserted) as log:
        keyed = [obj for obj in objs if obj.pk is not None]
        created = plain(objs, *args, **kwargs)
        pks = [obj.pk for obj in created if obj.pk is not None]
        # A key that was given is that of the row which was not inserted, not of the updated one.
        asked = keyed + [obj for obj in created if obj.pk is None]
        pks += _pks_by_unique_values(model, asked, alias)
        log.begin(chain(touched.by_keys(model, pks, alias), versions.of_any_value(model, alias)))
        return created


def raw_delete(queryset: QuerySet[Any], plain: Callable[..., int], using: str) -> int:
    """Run a delete that sends no signals, with its rows marked before it is committed."""
    model = queryset.model
    if not targets_of(model):
        return plain(using)
    with transaction.atomic(using=using, savepoint=False):
        log = write_log(using)
        if _can_return(using):
            query: Any = queryset.query.clone()
            query.__class__ = DeleteQuery
            compiler = query.get_compiler(using)
            rows = _returned(model, compiler, using, versions.index_columns(model, using))
            if rows:
                log.begin(_touched_by_rows(model, rows, using))
            return len(rows)
        pks = _lock(queryset, using)
        log.begin(touched.by_keys(model, pks, using))
        log.begin(versions.of_written(model, pks, using, deleted=True))
        # Just those: another row that matches may have come since.
        restricted: Any = queryset._chain().filter(pk__in=pks)  # type: ignore[attr-defined]
        return QuerySet._raw_delete(restricted, using) or 0


def _prepared_update(queryset: QuerySet[Any], values: dict[str, Any], alias: str) -> Any:
    """The update's query, where one statement can tell which rows it changed; else `None`."""
    query: Any = queryset.query.chain(UpdateQuery)
    query.add_update_values(values)
    if not _can_return(alias):
        return None
    # Annotations are part of the values by now; an order means nothing to these databases.
    query.clear_select_clause()
    query.clear_ordering(force=True)
    pk = fields.primary_key(queryset.model)
    if query.related_updates or any(field is pk for field, _, _ in query.values):
        return None
    if {field.attname for field, _, _ in query.values} & _index_columns(queryset.model, alias):
        return None  # The values that rows have had must be known, too.
    return query


def _index_columns(model: type[Model], alias: str) -> set[str]:
    return versions.index_columns(model, alias)


def _update_returning(queryset: QuerySet[Any], query: Any, alias: str, log: WriteLog) -> int:
    """`UPDATE ... RETURNING`: the rows are learned from the statement itself."""
    model = queryset.model
    changed = {field.attname for field, _, _ in query.values}
    lookups = touched.lookup_columns(model, alias)
    if not changed & lookups:
        lookups = set()
    wanted = lookups | _index_columns(model, alias)
    rows = _returned(model, query.get_compiler(alias), alias, wanted)
    if not rows:
        return 0
    keys = list(_touched_by_rows(model, rows, alias))
    for row in rows if lookups else ():
        keys += touched.by_lookup_values(model, row.__getitem__, alias, changed)
    log.begin(keys)
    return len(rows)


def _touched_by_rows(model: type[Model], rows: Sequence[Row], alias: str) -> Iterator[bytes]:
    """What changing rows touches of which the statement has told the values."""
    pk = fields.primary_key(model).attname
    yield from touched.by_keys(model, [row[pk] for row in rows], alias)
    yield from versions.of_values(model, [row.__getitem__ for row in rows], alias)


def _returned(model: type[Model], compiler: Any, alias: str, wanted: Collection[str]) -> list[Row]:
    """Run a statement, and have the primary keys and some columns of its rows returned.

    Args:
        wanted: attnames; those of other tables' columns are left out.
    """
    meta = model._meta
    columns = [fields.primary_key(model)]
    columns += [
        field
        for field in meta.local_concrete_fields
        if field.attname in wanted and not field.primary_key
    ]
    try:
        sql, params = compiler.as_sql()
    except EmptyResultSet:
        return []
    if not sql:
        return []
    quote = connections[alias].ops.quote_name
    table = quote(compiler.query.base_table)
    returned = ", ".join(f"{table}.{quote(field.column)}" for field in columns)
    with connections[alias].cursor() as cursor:
        cursor.execute(f"{sql} RETURNING {returned}", params)
        rows: Iterable[Any] = cursor.fetchall()
    converters = compiler.get_converters([field.get_col(meta.db_table) for field in columns])
    if converters:
        rows = compiler.apply_converters(rows, converters)
    names = [field.attname for field in columns]
    return [dict(zip(names, row, strict=True)) for row in rows]


def _update_locked(
    queryset: QuerySet[Any], values: dict[str, Any], alias: str, log: WriteLog
) -> int:
    """Lock the rows, mark them, then change just those."""
    model = queryset.model
    columns = [fields.column(model, name) for name in values]
    changed = {column.attname for column in columns}
    # The lock that the statement takes: a stronger one where keys change that others refer to.
    pks = _lock(queryset, alias, no_key=not any(column.unique for column in columns))
    if pks:
        log.begin(touched.by_keys(model, pks, alias))
        log.begin(versions.of_written(model, pks, alias))
        if changed & {*touched.lookup_columns(model, alias), fields.primary_key(model).attname}:
            log.begin(touched.by_insert(model, alias))
    restricted = queryset._chain().filter(pk__in=pks)  # type: ignore[attr-defined]
    count = QuerySet.update(restricted, **values)
    if changed & _index_columns(model, alias):
        moved = fields.primary_key(model).attname in changed
        log.begin(
            versions.of_any_value(model, alias)
            if moved
            else versions.of_rows(model, versions.look(model, pks, alias), alias)
        )
    queryset._result_cache = None
    return count


def _lock(queryset: QuerySet[Any], alias: str, no_key: bool = False) -> list[Any]:
    """The primary keys that a query matches, locked where the database can.

    Args:
        no_key: let others refer to the rows meanwhile, as an update of other columns does.
    """
    matching = queryset._chain().order_by()  # type: ignore[attr-defined]
    matching.query.select_for_update = False
    rows: QuerySet[Any, Any] = QuerySet(queryset.model, using=alias).filter(
        pk__in=matching.values("pk")
    )
    features = connections[alias].features
    if features.has_select_for_update:
        rows = rows.select_for_update(
            of=("self",) if features.has_select_for_update_of else (),
            no_key=no_key and features.has_select_for_no_key_update,
        )
    return list(rows.order_by("pk").values_list("pk", flat=True))


def _can_return(alias: str) -> bool:
    connection = connections[alias]
    if connection.vendor == "postgresql":
        return True
    return connection.vendor == "sqlite" and connection.features.can_return_columns_from_insert


def _pks_by_unique_values(model: type[Model], objs: Sequence[Any], alias: str) -> list[Any]:
    """The rows that objects without a key may have updated, by every unique value they have."""
    if not objs:
        return []
    meta = model._meta
    groups: list[Sequence[str]] = [(field.name,) for field in meta.concrete_fields if field.unique]
    groups += [constraint.fields for constraint in meta.total_unique_constraints]
    groups += meta.unique_together
    matches = Q()
    for obj in objs:
        for group in groups:
            names = [fields.attname(model, name) for name in group]
            values = {name: getattr(obj, name) for name in names}
            if None not in values.values():
                matches |= Q(**values)
    if not matches:
        return []
    return list(QuerySet(model, using=alias).filter(matches).values_list("pk", flat=True))
