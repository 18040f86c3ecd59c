"""Model instances made from column values, as Django would make them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.db.models import Model, signals
from django.db.models.base import ModelState
from django.db.models.fields.files import FileDescriptor, ImageFileDescriptor
from django.db.models.fields.related_descriptors import ForeignKeyDeferredAttribute
from django.db.models.query_utils import DeferredAttribute

_PLAIN_DESCRIPTORS = (
    DeferredAttribute,
    ForeignKeyDeferredAttribute,
    FileDescriptor,
    ImageFileDescriptor,
)


class InstanceFactory:
    """Makes instances of one model.

    Where nobody overrides how an instance is made, and nobody listens, its `__dict__` is filled
    straight away: `__init__` alone costs several times what the cache does.

    Args:
        model: the model, or a proxy of it.
        attnames: the attributes, in the order of the values.
    """

    __slots__ = ("_attnames", "_model", "_new", "_simple")

    def __init__(self, model: type[Model], attnames: Sequence[str]) -> None:
        self._model = model
        self._attnames = tuple(attnames)
        self._new: Callable[[type[Model]], Model] = model.__new__
        self._simple = _is_simple(model, attnames)

    def make(self, rows: Iterable[dict[str, Any]], alias: str) -> list[Any]:
        """Instances of their caller's own.

        Args:
            rows: for each, values by attname in the fields' order; the instances take them over.
            alias: the database that the instances say they came from.
        """
        model = self._model
        if not self._simple or self._observed():
            names = self._attnames
            return [model.from_db(alias, names, tuple(row.values())) for row in rows]
        new, instances = self._new, []
        for row in rows:
            # One loop without calls of our own: this is what a page of hits waits for.
            instance = new(model)
            row["_state"] = state = ModelState()
            state.adding = False
            state.db = alias
            state.fields_cache = {}
            instance.__dict__ = row
            instances.append(instance)
        return instances

    def _observed(self) -> bool:
        pre, post = signals.pre_init, signals.post_init
        if not pre.receivers and not post.receivers:
            return False
        return pre.has_listeners(self._model) or post.has_listeners(self._model)


def _is_simple(model: type[Model], attnames: Sequence[str]) -> bool:
    return (
        model.__init__ is Model.__init__
        and model.__new__ is object.__new__
        and model.__setattr__ is object.__setattr__
        and model.from_db.__func__ is Model.from_db.__func__  # type: ignore[attr-defined]
        and all(
            type(inspect.getattr_static(model, name, None)) in _PLAIN_DESCRIPTORS
            for name in attnames
        )
    )
