"""Values with their types, so that 1 is not True, a list no tuple, and 1.0 not 1.00."""

from __future__ import annotations

from typing import Any

from django.db.models import Model, QuerySet


def exactly(value: Any) -> Any:
    """What can be compared of a value: its type and all that is in it."""
    return _exactly(value, ())


def _exactly(value: Any, within: tuple[int, ...]) -> Any:
    if isinstance(value, Model):
        return _instance(value, within)
    if isinstance(value, dict):
        return type(value), [(_exactly(k, within), _exactly(v, within)) for k, v in value.items()]
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return "namedtuple", value._fields, [_exactly(each, within) for each in value]
    if isinstance(value, QuerySet):
        return "queryset", [_exactly(each, within) for each in value]
    if isinstance(value, list | tuple):
        return type(value), [_exactly(each, within) for each in value]
    if isinstance(value, memoryview):
        return memoryview, bytes(value)
    return type(value), repr(value)


def _instance(value: Model, within: tuple[int, ...]) -> Any:
    """An instance by its values, what is known of its relations, and where it says it is from."""
    if id(value) in within:
        return type(value), value.pk
    within = (*within, id(value))
    state: Any = value._state
    prefetched = getattr(value, "_prefetched_objects_cache", {})
    return (
        type(value),
        sorted((k, _exactly(v, within)) for k, v in vars(value).items() if not k.startswith("_")),
        sorted((k, _exactly(v, within)) for k, v in state.fields_cache.items()),
        sorted((k, _exactly(list(v), within)) for k, v in prefetched.items()),
        (state.db, state.adding, sorted(value.get_deferred_fields())),
    )
