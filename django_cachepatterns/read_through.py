"""Read-through: values by key, which the cache itself loads where it does not hold them.

The reader asks the cache and nothing else; how a missing value is loaded is said once, beside the
name. (Rows of models are read through by `orm.rows`, in the same way.)
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from inspect import Parameter, Signature
from typing import Any
from weakref import WeakValueDictionary

from asgiref.sync import async_to_sync, sync_to_async

from . import conf, keys
from .arguments import KeyTemplate, stable_text
from .exceptions import PolicyError
from .invalidation.invalidate import drop
from .keys import KeySpace
from .policy import CachePolicy
from .reader import Reader
from .stampede import revalidate
from .values import (
    Asked,
    AsyncValues,
    Dependencies,
    Family,
    Live,
    Values,
    listed,
    policy_from,
)

_SIGNATURE = Signature([Parameter("key", Parameter.POSITIONAL_ONLY)])


class ReadThrough:
    """Values of one name, by key.

    Keys are whatever has a stable text (see `arguments.stable_text`), values are plain data; `None`
    is one. A key for which `load` raises `KeyError`, or that `load_many` leaves out, is absent;
    that is remembered for the policy's `negative_ttl`.

    Args:
        name: part of every key, and what metrics call it; one for each instance.
        load: gives the value of a key.
        load_many: gives a dict of values for a list of keys. With one of the two, the other can do
            without. Both may be coroutine functions: then read with `aget` and `aget_many`.
        tags: names, or templates of names (`tenant:{key}`), that `invalidate("...")` makes values
            stale by.
        depends_on: models, or labels of them, whose every write makes values stale.
        version: change it when what is loaded changes: old values are misses.
        databases: aliases that may be read besides those that models are written to.
        policy: a policy; options are laid over it.
        options: `ttl`, `negative_ttl`, `stampede`, and the others of `CachePolicy`.

    Raises `PolicyError` where something of this is wrong.
    """

    pattern = "read_through"

    def __init__(
        self,
        name: str,
        load: Callable[[Any], Any] | None = None,
        load_many: Callable[[list[Any]], Any] | None = None,
        *,
        tags: str | Iterable[str] = (),
        depends_on: Any = (),
        version: str | int = "",
        databases: Iterable[str] = (),
        policy: CachePolicy | None = None,
        **options: Any,
    ) -> None:
        what = f"{type(self).__name__} {name!r}"
        if not isinstance(name, str) or not name:
            raise PolicyError(f"{what}: the name must be a text.")
        self.name, self._key_name = name, f"{what}: the key"
        self._loaders = _Loaders(what, load, load_many)
        self._tags = [KeyTemplate(tag, _SIGNATURE, f"{what}: the tag") for tag in listed(tags)]
        also = frozenset(listed(databases))
        self._depends = Dependencies(depends_on, what, also)
        made = policy_from(what, policy, options, self.pattern)
        if self._loaders.is_async and made.refresh == "inline":
            raise PolicyError(
                f"{what}: refresh is 'inline', but a coroutine is not to hold up its loop. Use "
                "refresh='thread' or refresh='celery'."
            )
        self.origin = (self.pattern, *self._loaders.origin)
        identity = (name, *self.origin, str(version))
        self._family = Family(name, made, identity, also)
        self._live = Live(self._source)
        _take_name(self)

    def get(self, key: Any, default: Any = None) -> Any:
        """The value of a key, or the default where it is absent."""
        asked = self._asked(key)
        return self._read([asked]).get(asked, default)

    def get_many(self, keys: Iterable[Any]) -> dict[Any, Any]:
        """The values of keys, in one round trip and one load; absent ones are left out."""
        asked = self._all_asked(dict.fromkeys(keys))
        return {each.what: value for each, value in self._read(asked).items()} if asked else {}

    def refresh(self, key: Any, default: Any = None) -> Any:
        """Load a key anew, store its value, and return it; the default where it is absent."""
        asked, reader = self._asked(key), self._live.reader()
        if reader is None:
            return self._loaders([asked]).get(asked, default)
        refresh = async_to_sync(reader.arefresh) if self._loaders.is_async else reader.refresh
        return refresh(asked).get(asked, default)

    def invalidate(self, key: Any) -> None:
        """Have a key loaded anew by its next reader. In a transaction: from its commit on."""
        self.invalidate_many([key])

    def invalidate_many(self, keys: Iterable[Any]) -> None:
        """The same for several keys, in one round trip."""
        drop([asked.key for asked in self._all_asked(keys)], self.name)

    async def aget(self, key: Any, default: Any = None) -> Any:
        """`get` in a coroutine."""
        asked = self._asked(key)
        return (await self._aread([asked])).get(asked, default)

    async def aget_many(self, keys: Iterable[Any]) -> dict[Any, Any]:
        """`get_many` in a coroutine."""
        asked = self._all_asked(dict.fromkeys(keys))
        found = await self._aread(asked) if asked else {}
        return {each.what: value for each, value in found.items()}

    async def arefresh(self, key: Any, default: Any = None) -> Any:
        """`refresh` in a coroutine."""
        if not self._loaders.is_async:
            return await sync_to_async(self.refresh)(key, default)
        asked, reader = self._asked(key), self._live.reader()
        found = await (self._loaders.aload([asked]) if reader is None else reader.arefresh(asked))
        return found.get(asked, default)

    async def ainvalidate(self, key: Any) -> None:
        """`invalidate` in a coroutine, in the transaction that `sync_to_async` code is in."""
        await sync_to_async(self.invalidate)(key)

    async def ainvalidate_many(self, keys: Iterable[Any]) -> None:
        """`invalidate_many` in a coroutine."""
        await sync_to_async(self.invalidate_many)(list(keys))

    @property
    def policy(self) -> CachePolicy:
        """How its values are cached."""
        return self._family.policy

    @property
    def reader(self) -> Reader[Asked[Any], Any] | None:
        """What reads its entries; `None` where reads go past the cache."""
        return self._live.reader()

    def asked(self, key: Any) -> Asked[Any]:
        """A key as its source is asked for it. Raises `UnstableArgument`."""
        return self._asked(key)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"

    def _read(self, asked: Sequence[Asked[Any]]) -> Mapping[Asked[Any], Any]:
        reader = self._live.reader()
        if reader is None:
            return self._loaders(asked)
        if self._loaders.is_async:
            return async_to_sync(reader.aread)(asked)
        return reader.read(asked)

    async def _aread(self, asked: Sequence[Asked[Any]]) -> Mapping[Asked[Any], Any]:
        if not self._loaders.is_async:
            return await sync_to_async(self._read)(asked)
        reader = self._live.reader()
        return await (self._loaders.aload(asked) if reader is None else reader.aread(asked))

    def _asked(self, key: Any) -> Asked[Any]:
        return self._all_asked([key])[0]

    def _all_asked(self, keys: Iterable[Any]) -> list[Asked[Any]]:
        space = conf.config().key_space()
        prefix, tables = self._prefix(space), self._depends.tags(space)
        return [
            Asked(
                prefix + stable_text(key, self._key_name).encode(),
                (*(space.tag(tag.render({"key": key})) for tag in self._tags), *tables),
                key,
            )
            for key in keys
        ]

    def _prefix(self, space: KeySpace) -> bytes:
        return f"{space.root}:value:{keys.part(self.name)}:".encode()

    def _source(self, space: KeySpace) -> Values[Any]:
        absences = keys.absences(self._prefix(space))
        if self._loaders.is_async:
            return AsyncValues(self._family, space, self._loaders.aload, absences, self._recipe)
        return Values(self._family, space, self._loaders, absences, self._recipe)

    def _recipe(self, key: Any) -> dict[str, Any] | None:
        if type(key) not in (str, int, bool, type(None)):
            return None
        return {"kind": "value", "name": self.name, "key": key}


def refresh_stale(recipe: Mapping[str, Any]) -> bool:
    """Refresh what another process found stale. Returns whether it was still so.

    Args:
        recipe: what `Values.recipe` gave there.
    """
    values = _named.get(recipe["name"])
    reader = values._live.reader() if values is not None else None
    if values is None or reader is None:
        return False
    return revalidate.now(reader, values._asked(recipe["key"]))


class _Loaders:
    """Whichever of `load` and `load_many` there is, for however many keys."""

    def __init__(self, what: str, load: Any, load_many: Any) -> None:
        given = [each for each in (load, load_many) if each is not None]
        if not given:
            raise PolicyError(f"{what}: nothing loads it. Give load=, load_many=, or both.")
        for each in given:
            if not callable(each):
                raise PolicyError(f"{what}: {each!r} cannot be called. Give a function.")
        kinds = {is_coroutine_function(each) for each in given}
        if len(kinds) > 1:
            raise PolicyError(
                f"{what}: one of load and load_many is a coroutine function. Make both, or none."
            )
        self._what, self._load, self._load_many = what, load, load_many
        self.is_async = kinds.pop()
        self.origin = tuple(map(_origin, given))

    def __call__(self, asked: Sequence[Asked[Any]]) -> dict[Asked[Any], Any]:
        """The values of what is asked, without those that are absent."""
        if self.is_async:
            return async_to_sync(self.aload)(asked)
        if self._takes_many(asked):
            return self._picked(asked, self._load_many([each.what for each in asked]))
        values = {}
        for each in asked:
            try:
                values[each] = self._load(each.what)
            except KeyError:
                continue
        return values

    async def aload(self, asked: Sequence[Asked[Any]]) -> dict[Asked[Any], Any]:
        """The same, awaiting coroutine functions."""
        if self._takes_many(asked):
            return self._picked(asked, await self._load_many([each.what for each in asked]))
        values = {}
        for each in asked:
            try:
                values[each] = await self._load(each.what)
            except KeyError:
                continue
        return values

    def _takes_many(self, asked: Sequence[Asked[Any]]) -> bool:
        return self._load is None or (self._load_many is not None and len(asked) > 1)

    def _picked(self, asked: Sequence[Asked[Any]], found: Any) -> dict[Asked[Any], Any]:
        if not isinstance(found, Mapping):
            raise TypeError(
                f"{self._what}: load_many gave a {type(found).__name__}. Return a dict of values "
                "by key."
            )
        return {each: found[each.what] for each in asked if each.what in found}


_named: WeakValueDictionary[str, ReadThrough] = WeakValueDictionary()


def named_values() -> dict[str, ReadThrough]:
    """The read-through and write-through values of this process, by their names."""
    return dict(_named)


def _take_name(values: ReadThrough) -> None:
    """Two that share a name would take each other's entries for useless, for ever."""
    other = _named.get(values.name)
    # A module that is imported anew makes the same ones again.
    if other is not None and other.origin != values.origin:
        raise PolicyError(
            f"{values!r} loads by {', '.join(values.origin[1:])}, but this process has {other!r} "
            f"already, which loads by {', '.join(other.origin[1:])}. Give each a name of its own."
        )
    _named[values.name] = values


def _origin(function: Any) -> str:
    """Where a function is from, the same in every process."""
    while isinstance(function, partial):
        function = function.func
    if not hasattr(function, "__qualname__"):
        function = type(function)
    return f"{function.__module__}.{function.__qualname__}"


def is_coroutine_function(function: Any) -> bool:
    """Whether a call has to be awaited; of objects that can be called, too."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - an object with an async __call__
    )
