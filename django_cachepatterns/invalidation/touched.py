"""The keys that a write touches."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any

from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db.models import Model

from .. import conf, fields, keys
from ..policy import CachePolicy
from .registry import Target, targets_of


def by_save(
    instance: Model, alias: str, update_fields: Collection[str] | None = None
) -> Iterator[bytes]:
    """What saving an instance touches: its row, and the lookup values that it takes on.

    Where the primary key or a lookup's value is not known before the statement has run, that is
    every remembered absence.
    """
    for target, family, policy in _families(type(instance), alias):
        pk = _pk_value(instance, target)
        if pk is None:
            yield keys.absences(family)
        else:
            yield from _rows(target, family, [pk], alias)
        for names in policy.lookups:
            if update_fields is None or _spellings(target, names) & set(update_fields):
                yield _lookup(target, family, names, instance.__dict__.__getitem__)


def by_delete(instance: Model, alias: str) -> Iterator[bytes]:
    """What deleting an instance touches."""
    for target, family, _ in _families(type(instance), alias):
        pk = _pk_value(instance, target)
        if pk is not None:
            yield from _rows(target, family, [pk], alias)


def by_keys(model: type[Model], pks: Iterable[Any], alias: str) -> Iterator[bytes]:
    """What changing rows of known primary keys touches."""
    found = [fields.prepared(model, pk) for pk in pks]
    for target, family, _ in _families(model, alias):
        yield from _rows(target, family, found, alias)


def by_lookup_values(
    model: type[Model], values: Callable[[str], Any], alias: str, changed: Collection[str]
) -> Iterator[bytes]:
    """The lookup values that a row takes on when some of its columns change.

    Args:
        values: gives a column's new value by attname; `KeyError` where it is not known.
        changed: the attnames that change.
    """
    for target, family, policy in _families(model, alias):
        for names in policy.lookups:
            if not set(changed).isdisjoint(_attnames(target, names)):
                yield _lookup(target, family, names, values)


def by_insert(model: type[Model], alias: str) -> Iterator[bytes]:
    """What inserting rows of a model touches: every remembered absence."""
    for _, family, _ in _families(model, alias):
        yield keys.absences(family)


def lookup_columns(model: type[Model]) -> set[str]:
    """The attnames of all columns that a lookup of a touched model is made of."""
    return {
        attname
        for target in targets_of(model)
        for names in conf.policy_of(target.model).lookups
        for attname in _attnames(target, names)
    }


def _families(model: type[Model], alias: str) -> Iterator[tuple[Target, bytes, CachePolicy]]:
    targets = targets_of(model)
    if not targets:
        return
    space = conf.config().key_space()
    for target in targets:
        policy = conf.policy_of(target.model)
        if policy.invalidation != "ttl":
            yield target, space.family(target.label, alias), policy


def _rows(target: Target, family: bytes, pks: Sequence[Any], alias: str) -> list[bytes]:
    """The keys of rows that hold columns of written rows; `pks` are prepared."""
    own = target.primary_keys(pks, alias)
    if set(map(type, own)) == {int}:
        return [b"%b%d" % (family, pk) for pk in own]
    return [keys.row(family, fields.prepared(target.model, pk)) for pk in own]


def _pk_value(instance: Model, target: Target) -> Any:
    """The primary key of the written row, prepared; `None` where it is not known yet."""
    if target.written in target.model._meta.all_parents or target.model is target.written:
        value = instance.pk
    else:
        # A child is written; this is its parent's key.
        value = instance.__dict__.get(fields.primary_key(target.model).attname)
    if value is None or hasattr(value, "resolve_expression"):
        return None
    try:
        return fields.prepared(target.model, value)
    except (TypeError, ValueError, ValidationError):
        return None  # The statement will say what is wrong with it.


def _lookup(
    target: Target, family: bytes, names: Iterable[str], values: Callable[[str], Any]
) -> bytes:
    """The key of a lookup's new values; that of all absences where they are not known."""
    order: list[str] = []
    found: list[Any] = []
    try:
        for name in names:
            column = fields.column(target.model, name)
            value = values(column.attname)
            if hasattr(value, "resolve_expression"):
                return keys.absences(family)
            order.append(column.attname)
            found.append(column.get_prep_value(value))
        return keys.lookup(family, order, found)
    except (KeyError, TypeError, ValueError, ValidationError, FieldDoesNotExist):
        return keys.absences(family)


def _attnames(target: Target, names: Iterable[str]) -> set[str]:
    return {fields.attname(target.model, name) for name in names}


def _spellings(target: Target, names: Iterable[str]) -> set[str]:
    return {*names, *_attnames(target, names)}
