"""Version-based invalidation: the tags that a write gives new versions.

Whatever was read from a table depends on the table's tag. Where a query pins a column of the
policy's `indexes` to a value, it depends on the tag of that value instead, so that a write to other
rows leaves it alone. A write gives new versions to the tags of the values that its rows have had
and will have; so these must be known, as they are in the database: the rows are locked and looked
at before they are written. Where that cannot be, `keys.every_index` gets a new version, on which
all of them depend.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import connections
from django.db.models import BooleanField, Model, QuerySet

from .. import conf, fields, keys
from ..transactions.state import in_any_transaction
from . import registry

Row = dict[str, Any]
"""Values of index columns by attname."""


class Table(NamedTuple):
    """One table that a write to a model changes.

    Args:
        model: whose table it is.
        family: what its keys begin with.
        tag: the key of its tag.
        indexes: the columns of its policy's `indexes`.
    """

    model: type[Model]
    family: bytes
    tag: bytes
    indexes: tuple[Any, ...]


def tables_of(model: type[Model], alias: str) -> list[Table]:
    """The followed tables that hold the columns of a model's rows: its own and its parents'.

    A model with `invalidation="ttl"` has none: what is read from it ages.
    """
    config = conf.config()
    space = config.key_space()
    key = ("tables", model, alias, space.root, registry.generation())

    def make() -> list[Table]:
        concrete = model._meta.concrete_model or model
        family = [concrete, *(each for each in concrete._meta.all_parents if _is_concrete(each))]
        return [
            Table(each, name, keys.table(name), indexes_of(each))
            for each in family
            if _is_followed(each)
            for name in [space.family(each._meta.label_lower, alias)]
        ]

    made: list[Table] = config.remember(key, make)
    return made


def of_tables(model: type[Model], alias: str) -> Iterator[bytes]:
    """The tags that every write to a model's rows touches."""
    return (table.tag for table in tables_of(model, alias))


def has_indexes(model: type[Model], alias: str) -> bool:
    """Whether a write must know the values of its rows."""
    return any(table.indexes for table in tables_of(model, alias))


def index_columns(model: type[Model], alias: str) -> set[str]:
    """The attnames of all index columns of a model's tables."""
    return {field.attname for table in tables_of(model, alias) for field in table.indexes}


def of_values(model: type[Model], rows: Iterable[Callable[[str], Any]], alias: str) -> set[bytes]:
    """The tags of the values that rows have or take on in index columns.

    Args:
        rows: each gives a column's value by attname; `KeyError` where it is not known.
    """
    tables = tables_of(model, alias)
    return {
        _tag(table, field, value) for value in rows for table in tables for field in table.indexes
    }


def of_known_values(model: type[Model], values: Row, alias: str) -> set[bytes]:
    """The tags of some columns' values; what is not among them is left out."""
    return {
        _tag(table, field, values.__getitem__)
        for table in tables_of(model, alias)
        for field in table.indexes
        if field.attname in values
    }


def of_any_value(model: type[Model], alias: str) -> set[bytes]:
    """The tags for a write of which nobody knows the values."""
    return {
        keys.every_index(table.family, field.attname)
        for table in tables_of(model, alias)
        for field in table.indexes
    }


def of_written(
    model: type[Model], pks: Sequence[Any], alias: str, deleted: bool = False
) -> set[bytes]:
    """The tags of the values that rows have now, which are locked: ask before they are written.

    Args:
        pks: distinct primary keys.
        deleted: whether the rows will be deleted.
    """
    if not has_indexes(model, alias):
        return set()
    if not in_any_transaction(connections[alias]):
        return of_any_value(model, alias)  # Nothing would hold the lock.
    rows = lock(model, pks, alias, deleted)
    if len(rows) < len(pks):
        # Where there was no row to lock, another may come before the statement, and be written.
        return of_any_value(model, alias)
    return of_rows(model, rows, alias)


def of_rows(model: type[Model], rows: Iterable[Row], alias: str) -> set[bytes]:
    """The tags of the values of rows that were looked at."""
    return of_values(model, [row.__getitem__ for row in rows], alias)


def lock(model: type[Model], pks: Sequence[Any], alias: str, deleted: bool = False) -> list[Row]:
    """The values of index columns of rows, which are locked until the transaction ends.

    As strongly as the statement will lock them, and no more: a stronger lock would keep those
    waiting who insert rows that refer to them, and one that grows later can meet theirs.
    """
    features = connections[alias].features
    no_key = features.has_select_for_no_key_update and not deleted
    found: list[Row] = []
    for rows in _in_batches(model, pks, alias):
        if features.has_select_for_update:
            rows = rows.select_for_update(no_key=no_key)
        found += rows.values(*sorted(index_columns(model, alias)))
    return found


def look(model: type[Model], pks: Sequence[Any], alias: str) -> list[Row]:
    """The values of index columns of rows that this transaction has written."""
    columns = sorted(index_columns(model, alias))
    return [row for rows in _in_batches(model, pks, alias) for row in rows.values(*columns)]


def _in_batches(model: type[Model], pks: Sequence[Any], alias: str) -> Iterator[QuerySet[Any, Any]]:
    """Rows by primary keys, in an order that all who lock them share, as many as a query takes."""
    size = connections[alias].features.max_query_params or len(pks) or 1
    for at in range(0, len(pks), size):
        rows: QuerySet[Any, Any] = QuerySet(model, using=alias)
        yield rows.filter(pk__in=pks[at : at + size]).order_by("pk")


def indexes_of(model: type[Model]) -> tuple[Any, ...]:
    """The columns of a model's own table that its policy names in `indexes`."""
    found = []
    for name in conf.policy_of(model).indexes:
        try:
            field = fields.column(model, name)
        except FieldDoesNotExist:
            continue  # A system check says so.
        if can_be_index(model, field):
            found.append(field)
    return tuple(found)


def can_be_index(model: type[Model], field: Any) -> bool:
    """Whether it is a column of the table's own whose values are stored as they are written."""
    return field in model._meta.local_concrete_fields and _is_known(field)


def _is_known(field: Any) -> bool:
    """Whether a column's value in the database is the one that a write gives it."""
    if getattr(field, "generated", False):
        return False  # The database computes it from other columns.
    return fields.is_stored_as_given(field) or type(field) is BooleanField


def _tag(table: Table, field: Any, value: Callable[[str], Any]) -> bytes:
    """The tag of a value; that of all values where it is not known."""
    try:
        given = value(field.attname)
        if not hasattr(given, "resolve_expression"):
            prepared = field.get_prep_value(given)
            if prepared is not None:
                return keys.index(table.family, field.attname, prepared)
            return keys.index(table.family, field.attname, "~null")
    except (KeyError, TypeError, ValueError, ValidationError):
        pass
    return keys.every_index(table.family, field.attname)


def _is_concrete(model: type[Model]) -> bool:
    return model._meta.concrete_model is model


def _is_followed(model: type[Model]) -> bool:
    return (registry.is_tracked(model) or bool(registry.targets_of(model))) and conf.policy_of(
        model
    ).invalidation != "ttl"
