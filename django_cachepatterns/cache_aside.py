"""Cache-aside: a function whose results are remembered beside it.

The name is that of Microsoft's cloud design patterns: the caller looks into the cache, and on a
miss computes and stores. Here the decorator is that caller, and the entry protocol makes it right:
one computes under a lease, and what was invalidated meanwhile is not stored.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import update_wrapper
from importlib import import_module
from inspect import Parameter
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, ParamSpec, TypeVar, overload
from weakref import WeakValueDictionary

from asgiref.sync import sync_to_async

from . import conf
from .arguments import Binder, KeyTemplate, default_template
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

if TYPE_CHECKING:
    from django.db.models import Model

P = ParamSpec("P")
R = TypeVar("R")


class Call(NamedTuple):
    """The arguments of a call."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]


class CachedFunction(Generic[P, R]):
    """A function with its results cached; call it as before.

    Where something is missing (a stale entry, the cache server) the function is called. What it
    raises reaches the caller, and nothing is stored.
    """

    def __init__(
        self,
        function: Any,
        key: str | None,
        tags: Iterable[str],
        depends_on: Any,
        family: Callable[[str, str], Family],
    ) -> None:
        self._kind = type(function) if isinstance(function, _WRAPPERS) else None
        self._function = plain = _checked(function)
        update_wrapper(self, plain)
        # What makes `inspect` take it for the function that it stands for.
        self.__code__, self.__defaults__ = plain.__code__, plain.__defaults__
        self.__kwdefaults__ = plain.__kwdefaults__
        signature = inspect.signature(plain)
        self._takes_class = _takes_class(plain, signature)
        self._binder = Binder(signature)
        template = default_template(plain, signature) if key is None else key
        self._name = f"{plain.__module__}.{plain.__qualname__}"
        self._key = KeyTemplate(template, signature, f"{self._name}: the key")
        self._tags = [KeyTemplate(tag, signature, f"{self._name}: the tag") for tag in tags]
        self._class_is_named = any("cls" in each.parameters for each in (self._key, *self._tags))
        self._family = family(self._name, template)
        self._depends = Dependencies(depends_on, self._name, self._family.databases)
        self._live = Live(self._source)
        _functions[self._name] = self

    # As a function

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        reader = self._live.reader()
        if reader is None:
            result: R = self._function(*args, **kwargs)
            return result
        asked = self._asked(args, kwargs)
        value: R = reader.read((asked,))[asked]
        return value

    def key(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """The key of a call, without the prefix: `search:shoe:1`."""
        return self._key.render(self._named(args, kwargs))

    def get(self, *args: Any, default: Any = None, **kwargs: Any) -> Any:
        """What is cached for a call, or the default; the function is not called."""
        asked, reader = self._asked(args, kwargs), self._live.reader()
        return default if reader is None else reader.peek((asked,)).get(asked, default)

    def refresh(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function, store what it gives, and return it."""
        self._bound(args, kwargs)
        asked, reader = self._asked(args, kwargs), self._live.reader()
        if reader is None:
            return self.uncached(*args, **kwargs)
        value: R = reader.refresh(asked)[asked]
        return value

    def uncached(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function itself."""
        self._bound(args, kwargs)
        result: R = self._function(*args, **kwargs)
        return result

    def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Have the next call computed anew.

        In a transaction: from its commit on; until then this key goes past the cache.
        """
        drop([self._asked(args, kwargs).key], self._name)

    async def ainvalidate(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """The same from a coroutine, in the transaction that `sync_to_async` code is in."""
        await sync_to_async(self.invalidate)(*args, **kwargs)

    # As a method

    def __get__(self, instance: Any, owner: type[Any] | None = None) -> Any:
        if self._kind is staticmethod:
            return self
        if self._kind is classmethod:
            return BoundFunction(self, owner or type(instance))
        return self if instance is None else BoundFunction(self, instance)

    def __reduce__(self) -> str:
        qualified: str = self._function.__qualname__
        return qualified

    def __repr__(self) -> str:
        return f"<cached {self._name}>"

    def _lacks_class(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
        if not self._takes_class or "cls" in kwargs:
            return False
        return not (args and isinstance(args[0], type))

    def _named(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
        """What keys are made of; the class may be lacking where none has it."""
        if self._takes_class and not self._class_is_named and self._lacks_class(args, kwargs):
            return self._binder.bind((None, *args), kwargs)
        return self._bound(args, kwargs)

    def _bound(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
        if self._lacks_class(args, kwargs):
            raise TypeError(
                f"{self._name} did not get its class: from Python 3.13 on, @classmethod above "
                "@cache_aside hides it from everything but a call. Write @cache_aside above "
                "@classmethod."
            )
        return self._binder.bind(args, kwargs)

    @property
    def name(self) -> str:
        """The function's dotted name, which metrics call it by."""
        return self._name

    @property
    def policy(self) -> CachePolicy:
        """How its results are cached."""
        return self._family.policy

    @property
    def reader(self) -> Reader[Asked[Call], Any] | None:
        """What reads its entries; `None` where calls go past the cache."""
        return self._live.reader()

    def asked_in(self, key: str, value_of: Callable[[str], Any]) -> Asked[Call]:
        """The call that a key was made from. Raises `LookupError` where it does not say it all.

        Args:
            key: without the prefix, as `key()` gives it.
            value_of: the argument that a text stands for; raises `LookupError`.
        """
        texts = self._key.texts_in(key)
        parameters = self._binder.signature.parameters
        simple = all(each.kind is Parameter.POSITIONAL_OR_KEYWORD for each in parameters.values())
        if texts is None or not simple or set(texts) != set(parameters):
            raise LookupError(f"{key} does not say all arguments of {self._name}")
        asked = self._asked((), {name: value_of(text) for name, text in texts.items()})
        if not asked.key.endswith(f":fn:{key}".encode()):
            raise LookupError(f"{key} cannot be read back")
        return asked

    @property
    def fixed_tags(self) -> tuple[str, ...]:
        """The names of its tags in which no argument is put."""
        return tuple(tag.literals[0] for tag in self._tags if len(tag.literals) == 1)

    @property
    def key_literals(self) -> tuple[str, ...]:
        """What stands before, between and after the arguments in its keys, without the prefix."""
        return self._key.literals

    def _asked(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Asked[Call]:
        space = conf.config().key_space()
        arguments = self._named(args, kwargs)
        key = f"{space.root}:fn:{self._key.render(arguments)}".encode()
        tags = [space.tag(tag.render(arguments)) for tag in self._tags]
        return Asked(key, (*tags, *self._depends.tags(space)), Call(args, kwargs))

    def _source(self, space: KeySpace) -> Values[Call]:
        return Values(self._family, space, self._load, recipe=self._recipe)

    def _load(self, asked: Sequence[Asked[Call]]) -> dict[Asked[Call], Any]:
        return {each: self._function(*each.what.args, **each.what.kwargs) for each in asked}

    def _recipe(self, call: Call) -> dict[str, Any] | None:
        """A call that another process can make: its arguments must come through JSON unchanged."""
        name = self._function.__qualname__
        kwargs = dict(call.kwargs)
        if "<locals>" in name or not _is_json([list(call.args), kwargs]):
            return None
        function = f"{self._function.__module__}:{name}"
        return {
            "kind": "function",
            "function": function,
            "args": list(call.args),
            "kwargs": kwargs,
        }


class AsyncCachedFunction(CachedFunction[P, R]):
    """The same for a coroutine function: calls, `get`, `refresh` and `uncached` are awaited."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        if self._family.policy.refresh == "inline":
            raise PolicyError(
                f"{self._name}: refresh is 'inline', but a coroutine is not to hold up its loop. "
                "Use refresh='thread' or refresh='celery'."
            )

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:  # type: ignore[override]
        reader = self._live.reader()
        if reader is None:
            result: R = await self._function(*args, **kwargs)
            return result
        asked = self._asked(args, kwargs)
        value: R = (await reader.aread((asked,)))[asked]
        return value

    async def get(self, *args: Any, default: Any = None, **kwargs: Any) -> Any:
        asked, reader = self._asked(args, kwargs), self._live.reader()
        return default if reader is None else (await reader.apeek((asked,))).get(asked, default)

    async def refresh(self, *args: P.args, **kwargs: P.kwargs) -> R:  # type: ignore[override]
        self._bound(args, kwargs)
        asked, reader = self._asked(args, kwargs), self._live.reader()
        if reader is None:
            return await self.uncached(*args, **kwargs)
        value: R = (await reader.arefresh(asked))[asked]
        return value

    async def uncached(self, *args: P.args, **kwargs: P.kwargs) -> R:  # type: ignore[override]
        self._bound(args, kwargs)
        result: R = await self._function(*args, **kwargs)
        return result

    def _source(self, space: KeySpace) -> Values[Call]:
        return AsyncValues(self._family, space, self._aload, recipe=self._recipe)

    async def _aload(self, asked: Sequence[Asked[Call]]) -> dict[Asked[Call], Any]:
        return {each: await self._function(*each.what.args, **each.what.kwargs) for each in asked}


class BoundFunction:
    """A cached function of an object or a class: its first argument is given."""

    def __init__(self, function: CachedFunction[Any, Any], first: Any) -> None:
        self.__func__, self.__self__ = function, first
        self.__doc__, self.__module__ = function.__doc__, function.__module__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.__func__(self.__self__, *args, **kwargs)

    def key(self, *args: Any, **kwargs: Any) -> str:
        """See `CachedFunction.key`."""
        return self.__func__.key(self.__self__, *args, **kwargs)

    def get(self, *args: Any, default: Any = None, **kwargs: Any) -> Any:
        """See `CachedFunction.get`."""
        return self.__func__.get(self.__self__, *args, default=default, **kwargs)

    def refresh(self, *args: Any, **kwargs: Any) -> Any:
        """See `CachedFunction.refresh`."""
        return self.__func__.refresh(self.__self__, *args, **kwargs)

    def uncached(self, *args: Any, **kwargs: Any) -> Any:
        """See `CachedFunction.uncached`."""
        return self.__func__.uncached(self.__self__, *args, **kwargs)

    def invalidate(self, *args: Any, **kwargs: Any) -> None:
        """See `CachedFunction.invalidate`."""
        self.__func__.invalidate(self.__self__, *args, **kwargs)

    async def ainvalidate(self, *args: Any, **kwargs: Any) -> None:
        """See `CachedFunction.ainvalidate`."""
        await self.__func__.ainvalidate(self.__self__, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__func__, name)

    @property
    def __signature__(self) -> inspect.Signature:
        whole = inspect.signature(self.__func__)
        return whole.replace(parameters=list(whole.parameters.values())[1:])

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, BoundFunction)
            and self.__func__ is other.__func__
            and self.__self__ is other.__self__
        )

    def __hash__(self) -> int:
        return hash((id(self.__func__), id(self.__self__)))

    def __reduce__(self) -> Any:
        return getattr, (self.__self__, self.__func__._function.__name__)

    def __repr__(self) -> str:
        return f"<bound {self.__func__!r} of {self.__self__!r}>"


@overload
def cache_aside(key: Callable[P, R], /) -> CachedFunction[P, R]: ...


@overload
def cache_aside(
    key: str | None = None,
    *,
    tags: str | Iterable[str] = (),
    depends_on: str | type[Model] | Iterable[str | type[Model]] = (),
    version: str | int = "",
    databases: Iterable[str] = (),
    policy: CachePolicy | None = None,
    **options: Any,
) -> Callable[[Callable[P, R]], CachedFunction[P, R]]: ...


def cache_aside(
    key: Any = None,
    *,
    tags: str | Iterable[str] = (),
    depends_on: Any = (),
    version: str | int = "",
    databases: Iterable[str] = (),
    policy: CachePolicy | None = None,
    **options: Any,
) -> Any:
    """Cache what a function gives: a plain one, a method of any kind, or a coroutine function.

    The function gets `.key()`, `.get()`, `.refresh()`, `.invalidate()` and `.uncached()`, each with
    the arguments of a call. Results must be plain data (see `docs/how-to/cache-a-function.md`);
    `None` is one. Each hit is a copy of the caller's own.

    Args:
        key: template of the key, such as `search:{query}:{page}`; without one it is made of the
            function's name and all its parameters.
        tags: names, or templates of names, that `invalidate("...")` makes results stale by.
        depends_on: models, or labels of them, whose every write makes results stale.
        version: change it when what the function gives changes: old results are misses.
        databases: aliases that may be read besides those that models are written to; what was
            read from others is not stored, because replicas lag behind.
        policy: a policy; options are laid over it.
        options: `ttl`, `soft_ttl`, `stampede`, and the others of `CachePolicy`.

    Raises `PolicyError` where something of this does not fit the function.
    """
    is_bare = not (tags or depends_on or version or databases or policy or options)
    if is_bare and (callable(key) or isinstance(key, (*_WRAPPERS, property))):
        return cache_aside()(key)
    if key is not None and not isinstance(key, str):
        raise PolicyError(f"cache_aside: key is {key!r}. Give a template such as 'search:{{q}}'.")
    names = listed(tags)

    def family(name: str, template: str) -> Family:
        made = policy_from(name, policy, options, "cache_aside")
        return Family(name, made, (name, template, str(version)), frozenset(listed(databases)))

    def decorate(function: Any) -> CachedFunction[Any, Any]:
        plain = getattr(function, "__func__", function)
        kind = AsyncCachedFunction if inspect.iscoroutinefunction(plain) else CachedFunction
        made: CachedFunction[Any, Any] = kind(function, key, names, depends_on, family)
        return made

    return decorate


_functions: WeakValueDictionary[str, CachedFunction[Any, Any]] = WeakValueDictionary()


def cached_functions() -> dict[str, CachedFunction[Any, Any]]:
    """The cached functions of this process, by their dotted names; of one name the last made."""
    return dict(_functions)


def refresh_stale(recipe: Mapping[str, Any]) -> bool:
    """Refresh what another process found stale. Returns whether it was still so.

    Args:
        recipe: what `Values.recipe` gave there.
    """
    module, _, name = recipe["function"].partition(":")
    function = attrgetter(name)(import_module(module))
    if not isinstance(function, CachedFunction):
        return False
    reader = function._live.reader()
    asked = function._asked(tuple(recipe["args"]), recipe["kwargs"])
    return reader is not None and revalidate.now(reader, asked)


_WRAPPERS = (classmethod, staticmethod)


def _checked(function: Any) -> Any:
    """The function itself, without `classmethod` or `staticmethod`. Raises `PolicyError`."""
    plain = function.__func__ if isinstance(function, _WRAPPERS) else function
    if isinstance(plain, CachedFunction):
        raise PolicyError(f"{plain!r} is cached already. Decorate it once.")
    if isinstance(plain, property):
        raise PolicyError("cache_aside cannot cache a property. Write @property above it.")
    if not inspect.isfunction(plain):
        raise PolicyError(
            f"cache_aside cannot cache {plain!r}, which is no function. Decorate a function that "
            "calls it."
        )
    name = f"{plain.__module__}.{plain.__qualname__}"
    if inspect.isgeneratorfunction(plain) or inspect.isasyncgenfunction(plain):
        raise PolicyError(f"{name} is a generator, which is used up once. Return a list.")
    return plain


def _takes_class(function: Any, signature: inspect.Signature) -> bool:
    """Whether a function looks like that of a class method."""
    inside = function.__qualname__.rpartition(".")[0]
    first = next(iter(signature.parameters), "")
    return first == "cls" and inside != "" and not inside.endswith("<locals>")


def _is_json(value: Any) -> bool:
    """Whether JSON gives the same value back."""
    kind = type(value)
    if kind is list:
        return all(map(_is_json, value))
    if kind is dict:
        return all(type(key) is str and _is_json(each) for key, each in value.items())
    return kind in (str, int, bool, type(None)) or (kind is float and value - value == 0)
