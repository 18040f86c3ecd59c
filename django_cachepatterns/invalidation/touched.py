"""The keys that a write touches."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db.models import Model

from .. import conf, fields, keys
from ..transactions import Installable
from . import registry, versions
from .registry import Target, targets_of


class _Lookup(NamedTuple):
    """A lookup of a touched model."""

    attnames: tuple[str, ...]
    columns: tuple[Any, ...]
    spellings: frozenset[str]


class _Touched(NamedTuple):
    """A model whose entries a write touches, in one database, for one tenant."""

    target: Target
    family: bytes
    lookups: tuple[_Lookup, ...]
    installs: Callable[[], Any] | None


def by_save(
    instance: Model, alias: str, update_fields: Collection[str] | None = None, raw: bool = False
) -> Iterator[bytes]:
    """What saving an instance touches: its row, and the lookup values that it takes on.

    Where the primary key or a lookup's value is not known before the statement has run, that is
    every remembered absence.
    """
    values = instance.__dict__.__getitem__
    yield from versions.of_tables(type(instance), alias)
    for touched in _touched(type(instance), alias):
        pk = _pk_value(instance, touched.target)
        if raw or pk is None:
            # A raw save may complete a row whose other columns a parent's table has.
            yield keys.absences(touched.family)
        if pk is not None:
            yield from _rows(touched, [pk], alias)
        for lookup in touched.lookups:
            if update_fields is None or not lookup.spellings.isdisjoint(update_fields):
                yield _lookup_key(touched, lookup, values)


def values_by_save(
    instance: Model, alias: str, update_fields: Collection[str] | None = None, raw: bool = False
) -> Iterator[bytes]:
    """The tags of index values that saving an instance touches: those it has had, and will have.

    Asked right before the statement. Where its row cannot be locked, that is every value's.
    """
    model = type(instance)
    if raw:
        yield from versions.of_any_value(model, alias)
        return
    pk = _prepared_pk(instance)
    if pk is not None and not is_inserted(instance):
        yield from versions.of_written(model, [pk], alias)
    values = instance.__dict__
    changed = set(values) if update_fields is None else _attnames(model, update_fields)
    columns = versions.index_columns(model, alias) & changed
    if columns:
        known = {name: value for name, value in values.items() if name in columns}
        yield from versions.of_known_values(model, known, alias)
    if pk is None and versions.index_columns(model, alias) - changed:
        yield from versions.of_any_value(model, alias)  # The database's own defaults.


@contextmanager
def inserting(instance: Model, inserts: bool) -> Iterator[None]:
    """Say for a block whether an instance's statements only insert: then no row is looked at."""
    state: Any = instance._state
    state.cachepatterns_inserts = inserts
    try:
        yield
    finally:
        vars(state).pop("cachepatterns_inserts", None)


def is_inserted(instance: Model) -> bool:
    """Whether it is known that an instance's statement only inserts."""
    return getattr(instance._state, "cachepatterns_inserts", False)


def to_install(instance: Model, alias: str) -> Iterator[bytes]:
    """The keys of a row of write-through models that was just created: it had no key before."""
    for touched in _touched(type(instance), alias):
        pk = _pk_value(instance, touched.target) if touched.installs is not None else None
        if pk is not None:
            yield from _rows(touched, [pk], alias)


def by_delete(instance: Model, alias: str) -> Iterator[bytes]:
    """What deleting an instance touches."""
    yield from versions.of_tables(type(instance), alias)
    for touched in _touched(type(instance), alias):
        pk = _pk_value(instance, touched.target)
        if pk is not None:
            yield from _rows(touched, [pk], alias)


def by_keys(model: type[Model], pks: Iterable[Any], alias: str) -> Iterator[bytes]:
    """What changing rows of known primary keys touches."""
    yield from versions.of_tables(model, alias)
    if models := _touched(model, alias):
        found = fields.all_prepared(model, pks)
        for touched in models:
            yield from _rows(touched, found, alias)


def by_lookup_values(
    model: type[Model], values: Callable[[str], Any], alias: str, changed: Collection[str]
) -> Iterator[bytes]:
    """The lookup values that a row takes on when some of its columns change.

    Args:
        values: gives a column's new value by attname; `KeyError` where it is not known.
        changed: the attnames that change.
    """
    for touched in _touched(model, alias):
        for lookup in touched.lookups:
            if not lookup.spellings.isdisjoint(changed):
                yield _lookup_key(touched, lookup, values)


def by_insert(model: type[Model], alias: str) -> Iterator[bytes]:
    """What inserting rows of a model touches: every remembered absence."""
    yield from versions.of_tables(model, alias)
    for touched in _touched(model, alias):
        yield keys.absences(touched.family)


def lookup_columns(model: type[Model], alias: str) -> set[str]:
    """The attnames of all columns that a lookup of a touched model is made of."""
    return {
        attname
        for touched in _touched(model, alias)
        for lookup in touched.lookups
        for attname in lookup.attnames
    }


def _attnames(model: type[Model], names: Collection[str]) -> set[str]:
    return {fields.attname(model, name) for name in names}


def entries_of(instance: Model, alias: str) -> Iterator[bytes]:
    """The row of an instance and its lookups, whether writes touch them or not."""
    values = instance.__dict__.__getitem__
    for touched in _touched(type(instance), alias, every=True):
        pk = _pk_value(instance, touched.target)
        if pk is not None:
            yield from _rows(touched, [pk], alias)
        for lookup in touched.lookups:
            yield _lookup_key(touched, lookup, values)


def _touched(model: type[Model], alias: str, *, every: bool = False) -> list[_Touched]:
    """The models whose entries a write touches.

    Args:
        every: those, too, whose policy leaves them to age, or to their table's version.
    """
    config = conf.config()
    space = config.key_space()
    key = ("touched", model, alias, space.root, registry.generation(), every)
    made: list[_Touched] = config.remember(
        key,
        lambda: [
            _Touched(
                target,
                space.family(target.label, alias),
                tuple(_lookups_of(target.model)),
                _installs(target, alias),
            )
            for target in targets_of(model)
            if fields.is_cacheable(target.model)
            and (every or conf.policy_of(target.model).invalidation in ("event", "hybrid"))
        ],
    )
    return made


def _lookups_of(model: type[Model]) -> Iterator[_Lookup]:
    for names in conf.policy_of(model).lookups:
        try:
            columns = tuple(fields.column(model, name) for name in names)
        except FieldDoesNotExist:
            continue  # A system check says so.
        attnames = tuple(column.attname for column in columns)
        yield _Lookup(attnames, columns, frozenset((*names, *attnames)))


def _rows(touched: _Touched, pks: Sequence[Any], alias: str) -> Sequence[bytes]:
    """The keys of rows that hold columns of written rows; `pks` are prepared."""
    family, target = touched.family, touched.target
    own = target.primary_keys(pks, alias)
    if touched.installs is not None:
        return [
            Installable(keys.row(family, pk), pk, touched.installs)
            for pk in (fields.prepared(target.model, pk) for pk in own)
        ]
    if set(map(type, own)) == {int}:
        return [b"%b%d" % (family, pk) for pk in own]
    return [keys.row(family, fields.prepared(target.model, pk)) for pk in own]


def _installs(target: Target, alias: str) -> Callable[[], Any] | None:
    """What gives the reader of a write-through model's rows."""
    if conf.policy_of(target.model).pattern != "write_through":
        return None
    return partial(registry.row_reader, target.model, alias)


def _pk_value(instance: Model, target: Target) -> Any:
    """The primary key of the written row, prepared; `None` where it is not known yet."""
    if target.model is target.written or target.written in target.model._meta.all_parents:
        value = instance.pk
    else:
        # A child is written; this is its parent's key.
        value = instance.__dict__.get(fields.primary_key(target.model).attname)
    return _prepared(target.model, value)


def _prepared_pk(instance: Model) -> Any:
    return _prepared(type(instance), instance.pk)


def _prepared(model: type[Model], value: Any) -> Any:
    if value is None or hasattr(value, "resolve_expression"):
        return None
    try:
        return fields.prepared(model, value)
    except (TypeError, ValueError, ValidationError):
        return None  # The statement will say what is wrong with it.


def _lookup_key(touched: _Touched, lookup: _Lookup, values: Callable[[str], Any]) -> bytes:
    """The key of a lookup's new values; that of all absences where they are not known."""
    found: list[Any] = []
    try:
        for column in lookup.columns:
            value = values(column.attname)
            if hasattr(value, "resolve_expression") or not fields.is_stored_as_given(column):
                return keys.absences(touched.family)
            found.append(column.get_prep_value(value))
        return keys.lookup(touched.family, lookup.attnames, found)
    except (KeyError, TypeError, ValueError, ValidationError):
        return keys.absences(touched.family)
