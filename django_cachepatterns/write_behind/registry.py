"""Every buffer there is, by name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db.models import Model

from ..exceptions import PolicyError

if TYPE_CHECKING:
    from .buffer import Buffer

_named: dict[str, Buffer[Any]] = {}


def register(buffer: Buffer[Any]) -> None:
    """Take note of a buffer. Raises `PolicyError` where another has its name."""
    other = _named.get(buffer.name.lower())
    if other is not None and other.signature() != buffer.signature():
        raise PolicyError(
            f"Two write-behind buffers are called {buffer.name!r}: {other.signature()} and "
            f"{buffer.signature()}. They would share what waits; give one of them another name."
        )
    _named[buffer.name.lower()] = buffer


def unregister(buffer: Buffer[Any]) -> None:
    """Forget a buffer: for tests that make some."""
    _named.pop(buffer.name.lower(), None)


def buffers() -> list[Buffer[Any]]:
    """Every buffer of this project, in the order of their names."""
    found = {buffer.name.lower(): buffer for buffer in every()}
    return [found[name] for name in sorted(found)]


def every() -> list[Buffer[Any]]:
    """The same with those that share a name, which a system check refuses."""
    found = [
        descriptor.buffer_of(model) for model in apps.get_models() for descriptor in declared(model)
    ]
    # Inherited ones belong to the model whose field it is, and are found there, too.
    return list({id(buffer): buffer for buffer in [*found, *_named.values()]}.values())


def chosen(names: Iterable[str]) -> list[Buffer[Any]]:
    """The buffers of some names; all of them where none is given.

    Raises `PolicyError` for a name that none has.
    """
    found = {buffer.name.lower(): buffer for buffer in buffers()}
    wanted = [str(name).lower() for name in names]
    for name in wanted:
        if name not in found:
            known = ", ".join(buffer.name for buffer in found.values()) or "there is none"
            raise PolicyError(f"No write-behind buffer is called {name!r}. Use one of: {known}.")
    return [found[name] for name in wanted] or list(found.values())


def declared(model: type[Model]) -> list[Any]:
    """What a class and its bases declare as buffers, once per attribute."""
    seen: dict[str, Any] = {}
    for base in model.__mro__:
        for name, value in vars(base).items():
            seen.setdefault(name, value)
    return [value for value in seen.values() if hasattr(type(value), "buffer_of")]
