"""Values: what functions give back, as entries of the cache.

Cache-aside functions, read-through and write-through values, and fragments share this source; each
is its own way to say what is asked for and how it is loaded.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from time import monotonic
from typing import Any, Generic, NamedTuple, TypeVar
from weakref import WeakSet

from asgiref.sync import async_to_sync, sync_to_async
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import connections, router
from django.db.models import Model
from django.utils.safestring import SafeString, mark_safe

from . import conf, keys
from .arguments import database_of
from .codecs import BUILT_IN, Column, codec_for, tagged
from .codecs.kinds import ANY
from .exceptions import CodecError, PolicyError
from .invalidation import registry
from .keys import KeySpace
from .log_events import event
from .policy import OPTIONS, CachePolicy
from .reader import REFUSED_FOR, Reader
from .sources import Loaded
from .stores import store_of
from .transactions import open_writes, settle_all, wrote
from .transactions.publishing import may_publish, reads_noted

logger = logging.getLogger("django_cachepatterns")

What = TypeVar("What")

database_of.append(lambda instance: router.db_for_write(type(instance), instance=instance))

# What a template was given as safe is safe on a hit, too.
tagged.add(SafeString, tagged.Tag(14, "safe", str.__str__, mark_safe))


class Asked(Generic[What]):
    """One value that is asked for.

    Args:
        key: its entry.
        tags: the keys of the tags that it depends on.
        what: whatever it is loaded from.
    """

    __slots__ = ("key", "tags", "what")

    def __init__(self, key: bytes, tags: tuple[bytes, ...], what: What) -> None:
        self.key, self.tags, self.what = key, tags, what

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Asked) and self.key == other.key


class Family(NamedTuple):
    """What all values of one function or name have in common.

    `databases` are aliases that may be read besides those that models are written to.
    """

    name: str
    policy: CachePolicy
    identity: tuple[str, ...]
    databases: frozenset[str] = frozenset()


class Values(Generic[What]):
    """The source of one family's values.

    Args:
        family: its name and policy.
        space: where its keys are.
        load: gives the values of what is asked; absent ones are left out.
        tag: the key of the tag that remembered absences depend on.
        recipe: what another process needs to refresh a value.
    """

    def __init__(
        self,
        family: Family,
        space: KeySpace,
        load: Callable[[Sequence[Asked[What]]], Mapping[Asked[What], Any]],
        tag: bytes | None = None,
        recipe: Callable[[What], dict[str, Any] | None] | None = None,
    ) -> None:
        self.name, self.policy = family.name, family.policy
        self.fingerprint = _fingerprint(*family.identity, self.policy.codec)
        self.space, self.tag = space, tag
        self._databases = family.databases
        self._lags_until = 0.0
        self._load = load
        self._recipe = recipe
        try:
            self._codec = codec_for(self.policy.codec, [Column("value", ANY)])
        except ImportError as error:
            raise ImproperlyConfigured(
                f"{self.name}: codec {self.policy.codec!r} cannot be imported: {error}. Use "
                f"{' or '.join(map(repr, BUILT_IN))}, or the dotted path of a codec."
            ) from error

    def entry_key(self, asked: Asked[What]) -> bytes:
        return asked.key

    def tags(self, asked: Asked[What]) -> tuple[bytes, ...]:
        return asked.tags

    def may_fill(self, asked: Asked[What]) -> bool:
        if self._lags_until > monotonic():
            return False
        if not open_writes.count:
            return True
        aliases = [each.alias for each in connections.all(initialized_only=True)]
        return not any(wrote(alias, key) for alias in aliases for key in (asked.key, *asked.tags))

    def load(self, asked: Sequence[Asked[What]]) -> Loaded:
        with reads_noted() as read:
            values = self._load(asked)
        return Loaded(values, self._may_publish(read))

    def encode(self, value: Any) -> bytes:
        try:
            return self._codec.encode([value])
        except CodecError as error:
            why = str(error).partition(". ")[0]  # What follows is about columns.
            raise CodecError(f"{_trouble_with(value)} ({why})") from error

    def decode(self, payload: bytes) -> Any:
        return self._codec.decode(payload)["value"]

    def recipe(self, asked: Asked[What]) -> dict[str, Any] | None:
        return self._recipe(asked.what) if self._recipe is not None else None

    def _may_publish(self, read: Iterable[str]) -> bool:
        """Whether what was loaded from some databases may be shown to others."""
        for alias in read:
            if alias not in self._databases and alias not in _written_databases():
                _say_replica(self.name, alias)
                # Or each of its readers would wait for the one before, who keeps nothing either.
                self._lags_until = monotonic() + REFUSED_FOR
                return False
        return may_publish()


class AsyncValues(Values[What]):
    """The same, where what loads is a coroutine function."""

    def __init__(
        self,
        family: Family,
        space: KeySpace,
        aload: Callable[[Sequence[Asked[What]]], Awaitable[Mapping[Asked[What], Any]]],
        tag: bytes | None = None,
        recipe: Callable[[What], dict[str, Any] | None] | None = None,
    ) -> None:
        super().__init__(family, space, async_to_sync(aload), tag, recipe)
        self._aload = aload

    async def aload(self, asked: Sequence[Asked[What]]) -> Loaded:
        """See `Source.load`. Django's connections are those of the thread that it keeps for
        coroutines, so it is that one whose reads are noted, and that is asked."""
        noted = reads_noted()
        read = await sync_to_async(noted.__enter__)()
        try:
            values = await self._aload(asked)
        finally:
            await sync_to_async(noted.__exit__)(None, None, None)
        return Loaded(values, await sync_to_async(self._may_publish)(read))


class Dependencies:
    """The models that values depend on besides their tags; looked up when the apps are ready.

    Args:
        models: models, or labels such as `shop.Product`.
        name: whose dependencies, for errors.
        databases: aliases that are read besides those that the models are written to by default.
    """

    def __init__(self, models: Any, name: str, databases: Iterable[str] = ()) -> None:
        self._given = listed(models)
        self._name = name
        self._databases = tuple(sorted(databases))
        self._seen = -1
        _declared.add(self)
        self._models: tuple[type[Model], ...] = ()
        for given in self._given:
            if not _is_model(given) and not (isinstance(given, str) and given.count(".") == 1):
                raise PolicyError(
                    f"{name}: depends_on has {given!r}. Name models, or labels of them such as "
                    "'shop.Product'."
                )

    def tags(self, space: KeySpace) -> tuple[bytes, ...]:
        """The keys of the tables' tags. Raises `PolicyError` for a model that is not followed."""
        if not self._given:
            return ()
        return tuple(
            keys.table(space.family(model._meta.label_lower, alias))
            for model in self._tables()
            for alias in dict.fromkeys((router.db_for_write(model), *self._databases))
        )

    def problems(self) -> list[str]:
        """What is wrong with the models; the apps must be ready."""
        unknown = sorted(set(self._databases).difference(connections))
        found = [
            f"{self._name}: databases has {alias!r}, which is not in DATABASES. Use one of: "
            f"{', '.join(connections)}."
            for alias in unknown
        ]
        for given in self._given:
            try:
                model = apps.get_model(given) if isinstance(given, str) else given
            except LookupError as error:
                found.append(
                    f"{self._name}: depends_on has {given!r}, but {str(error).rstrip('.')}. "
                    "Name models that are installed."
                )
                continue
            if not registry.is_tracked(model):
                found.append(
                    f"{self._name}: depends_on has {model._meta.label}, whose writes nobody "
                    "follows. Derive it from CachedModel, or name it in "
                    f"CACHEPATTERNS['POLICIES']: {{'{model._meta.label}': {{}}}}."
                )
            # Where the policy is wrong, its own check says so, and this one must not end in it.
            elif conf.unchecked_policy_of(model).invalidation == "ttl":
                found.append(
                    f"{self._name}: depends_on has {model._meta.label}, whose policy has "
                    "invalidation='ttl', so that its writes are told to nobody. Use 'hybrid' there."
                )
        return found

    def _tables(self) -> tuple[type[Model], ...]:
        generation = registry.generation()
        if self._seen != generation:
            for problem in self.problems():
                raise PolicyError(problem)
            tables: dict[type[Model], None] = {}
            for given in self._given:
                model = apps.get_model(given) if isinstance(given, str) else given
                for each in (model, *model._meta.all_parents):
                    tables[each._meta.concrete_model or each] = None
            self._models = tuple(tables)
            self._seen = generation  # Last: other threads go by it.
        return self._models


_declared: WeakSet[Dependencies] = WeakSet()


def dependency_problems() -> list[str]:
    """What is wrong with the models that anything in this process depends on; for system checks."""
    return sorted(problem for each in _declared for problem in each.problems())


def listed(given: Any) -> tuple[Any, ...]:
    """One or several things; those of a set in an order that is the same in every process."""
    if isinstance(given, str | type):
        return (given,)
    if given is not None and not isinstance(given, Iterable):
        raise PolicyError(f"{given!r} is neither a name nor several. Give a list of names.")
    return tuple(sorted(given, key=str) if isinstance(given, set | frozenset) else given or ())


class Live(Generic[What]):
    """A family's reader as the settings are now, made anew when they or the tenant change.

    Args:
        make: gives the source for a key space.
    """

    def __init__(self, make: Callable[[KeySpace], Values[What]]) -> None:
        self._make = make

    def reader(self) -> Reader[Asked[What], Any] | None:
        """The reader; `None` where reads go past the cache."""
        config = conf.config()
        if not config.enabled:
            return None
        space = config.key_space()
        settle_all()

        def make() -> Reader[Asked[What], Any] | None:
            try:
                return Reader(self._make(space), store_of(config))
            except PolicyError:
                return None  # A system check says that this cache cannot be a store.

        reader: Reader[Asked[What], Any] | None = config.remember((self, space.root), make)
        return reader


def policy_from(
    name: str, policy: CachePolicy | None, options: Mapping[str, Any], pattern: str
) -> CachePolicy:
    """A policy, or options laid over one. Raises `PolicyError` where it is wrong."""
    if policy is not None and not isinstance(policy, CachePolicy):
        raise PolicyError(f"{name}: policy is {policy!r}. Give a CachePolicy.")
    refused = sorted(_FOR_MODELS.intersection(options))
    if refused:
        raise PolicyError(f"{name}: {refused[0]} is for models. Leave it out.")
    made = (policy or CachePolicy()).using(**{**options, "pattern": pattern})
    for problem in made.problems():
        known = ", ".join(option for option in OPTIONS if option not in _FOR_MODELS)
        hint = f"Use one of: {known}." if problem.code == "E001" else problem.hint
        raise PolicyError(f"{name}: {problem.message} {hint}")
    if "." not in made.codec and made.codec not in BUILT_IN:
        raise PolicyError(
            f"{name}: codec is {made.codec!r}. Use {' or '.join(map(repr, BUILT_IN))}, or the "
            "dotted path of a codec."
        )
    return made


_FOR_MODELS = frozenset({"lookups", "indexes", "pattern", "invalidation"})


def _fingerprint(*parts: str) -> bytes:
    """Eight bytes: entries of another function, template or codec are misses."""
    text = "\0".join(("value 1", *parts))
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()


def _is_model(given: Any) -> bool:
    return isinstance(given, type) and issubclass(given, Model)


def _trouble_with(value: Any) -> str:
    kind = type(value)
    if isinstance(value, Model) or hasattr(value, "_iterable_class"):
        return (
            f"it is a {kind.__qualname__}, and rows change behind it; return .values(), or "
            "primary keys and read the rows through the cache"
        )
    return f"its {kind.__qualname__} holds what cannot be carried; return plain data"


def _written_databases() -> frozenset[str]:
    """The databases that any model is written to; all others may be replicas, which lag."""
    routers = list(router.routers)

    def look() -> tuple[list[Any], frozenset[str]]:
        # With the routers, so that no other gets the id of one of them.
        return routers, frozenset(router.db_for_write(model) for model in apps.get_models())

    key = ("written databases", *map(id, routers))
    found: frozenset[str] = conf.config().remember(key, look)[1]
    return found


def _say_replica(name: str, alias: str) -> None:
    if (name, alias) not in _said:
        _said.add((name, alias))
        logger.warning(
            "%s is not cached: it reads the database %r, which no model is written to, and a "
            "replica may lag behind. Read from the primary, or say databases=[%r]. (Said once.)",
            name,
            alias,
            alias,
            extra=event("replica_read", family=name, database=alias),
        )


_said: set[tuple[str, str]] = set()
