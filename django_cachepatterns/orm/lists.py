"""Cached querysets: what `.cache()` does.

A list of whole rows is stored as primary keys, and its rows are read as entries of their own: a
row is cached once, in however many lists. What holds more than rows (annotations, joins, values) is
stored as the rows that the database sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import connections, router
from django.db.models import Model, QuerySet
from django.db.models.query import ModelIterable

from .. import conf, keys
from ..exceptions import PolicyError
from ..metrics.timing import Call
from ..policy import CachePolicy
from ..stores import RedisStore, store_of
from ..transactions.state import in_any_transaction, reads_a_snapshot
from .dependencies import models_in, tags_of
from .listed import ListedRows
from .peers import adopt
from .replay import replay, run
from .results import Result, ResultReader
from .rows import CachedRows, rows_of
from .statements import Statement, compiled, schema_of

MOST_GUESSES, LONGEST_GUESS = 1000, 100

_guesses: dict[bytes, list[Any]] = {}
"""What lists held when this process last saw them: their rows are asked for along with them, and
where a list still says the same, it is one round trip."""

_ATTEMPTS = 3
"""How often a list is read again whose rows were written while it was read."""


@dataclass(frozen=True, slots=True)
class CacheOptions:
    """What was said to `.cache()`."""

    changes: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()

    def policy(self, model: type[Model]) -> CachePolicy:
        """The model's policy with what was said laid over it. Raises `PolicyError`."""
        said = tuple((name, type(value), value) for name, value in sorted(self.changes.items()))
        try:
            found: CachePolicy = conf.config().remember(
                ("list policy", model, said), lambda: self._policy(model)
            )
        except TypeError:
            return self._policy(model)  # A value that cannot be hashed, such as a list.
        return found

    def _policy(self, model: type[Model]) -> CachePolicy:
        policy = conf.policy_of(model).using(**self.changes)
        for problem in policy.problems():
            raise PolicyError(f".cache() of {model._meta.label}: {problem.message} {problem.hint}")
        return policy


class CachedResults:
    """The cached results of one queryset.

    Args:
        queryset: whose; it is not evaluated.
        options: what was said to `.cache()`.
        store: where entries live.
        alias: the database that is written.
        seen_as: the one that reads are routed to, which instances say they came from.
    """

    def __init__(
        self,
        queryset: QuerySet[Any],
        options: CacheOptions,
        store: RedisStore,
        alias: str,
        seen_as: str,
    ) -> None:
        # A background refresh runs it in another thread.
        self.queryset: Any = queryset._chain()  # type: ignore[attr-defined]
        self.options, self.store = options, store
        self.alias, self.seen_as = alias, seen_as
        model = queryset.model
        self.policy = options.policy(model)
        self.follows = self.policy.invalidation != "ttl"
        self.name = (model._meta.concrete_model or model)._meta.label_lower
        self.space = conf.config().key_space()
        self.method: str | None = None

    def fetch(self) -> list[Any]:
        """What the queryset gives when it is evaluated."""
        if _is_of_whole_rows(self.queryset) and not rows_age(self.queryset.model):
            rows = rows_of(self.queryset.model, self.queryset._hints)
            if rows is not None and rows.alias == self.alias and not rows.is_versioned:
                return self._rows_by_key(rows)
        statement = self._compiled("rows")
        if statement is None:
            return []
        found = self._read(statement, lambda: run(self.queryset, self.alias))
        return replay(self.queryset, statement.compiler, found, self.seen_as)

    def scalar(self, method: str, aggregates: Mapping[str, Any] | None = None) -> Any:
        """What a method of the queryset gives.

        Args:
            method: its name.
            aggregates: the expressions that it is given.
        """
        self.method = method
        plain = self.queryset._chain()
        plain._cache_options, plain._db = None, self.alias

        def compute() -> Any:
            return getattr(plain, method)(**(aggregates or {}))

        statement = self._compiled(method, aggregates)
        return compute() if statement is None else self._read(statement, compute)

    def _compiled(self, kind: str, aggregates: Mapping[str, Any] | None = None) -> Statement | None:
        policy = self.policy
        # Who wants a result for ten seconds must not get one that another keeps for an hour.
        ttls = [float(ttl) for ttl in (policy.ttl, policy.soft_ttl) if ttl is not None]
        kept = repr((self.options.tags, ttls, policy.invalidation))
        return compiled(self.queryset.query, self.alias, kind, kept, aggregates=aggregates)

    def _read(self, statement: Statement, compute: Callable[[], Any]) -> Any:
        return self._reader(statement, compute).read()

    def _reader(self, statement: Statement, compute: Callable[[], Any]) -> ResultReader:
        queryset = self.queryset
        family = self.space.family(self.name, self.alias)
        named = tuple(self.space.tag(name) for name in self.options.tags)
        found: tuple[bytes, ...] = ()
        if self.follows:
            found = tags_of(queryset.query, statement.sql, queryset.model, self.alias)
        schema = schema_of(models_in(statement.sql), self.alias)
        result = Result(
            f"{self.name}:list",
            self.policy,
            keys.query(family, statement.digest),
            (*found, *named),
            self.alias,
            schema,
            compute,
        )
        result.statement, result.method = statement, self.method
        return ResultReader(result, self.store)

    # Lists as primary keys

    def _rows_by_key(self, rows: CachedRows) -> list[Any]:
        statement = self._compiled("keys")
        if statement is None:
            return []
        call = Call()
        try:
            for _ in range(_ATTEMPTS):
                call.hold()
                found = self._attempt(rows, statement, call)
                if found is not None:
                    return found
            # Its rows are being written all the time.
            call.went_past()
            return replay(
                self.queryset, statement.compiler, run(self.queryset, self.alias), self.seen_as
            )
        finally:
            call.end()

    def _attempt(self, rows: CachedRows, statement: Statement, call: Call) -> list[Any] | None:
        """The list; `None` where it has changed while it was read."""
        loaded: list[list[Any]] = []
        listed = ListedRows(rows)

        def compute() -> list[Any]:
            loaded[:] = run(self.queryset, self.alias)
            return [rows.pk_of(row) for row in loaded]

        reader = self._reader(statement, compute)

        def offer(publish: bool) -> None:
            # Before the list is there, so that who finds it finds its rows, too. Not where the list
            # depends on none of their writes.
            if publish and self.follows and reader.leased_tags:
                listed.offer(loaded, reader.leased_tags)

        reader.result.loaded = offer
        key = reader.result.entry_key("")
        guess = _guesses.get(key, ())
        pks, found = reader.read_with(listed.entry_keys(guess), call)
        if loaded or not pks:
            _remember(key, pks)
            return replay(self.queryset, statement.compiler, loaded, self.seen_as)
        instances = None
        if found and pks == guess:
            instances = listed.instances_in(found, pks, self.seen_as, call)
        if instances is None:
            _remember(key, pks)
            ages, tags = not self.follows, reader.seen_tags
            instances = listed.get_list_under(pks, tags, self.seen_as, call, ages)
        return None if instances is None else adopt(self.queryset, instances)


def _remember(key: bytes, pks: list[Any]) -> None:
    if len(pks) > LONGEST_GUESS:
        return
    if len(_guesses) >= MOST_GUESSES:
        _guesses.clear()
    _guesses[key] = pks


def results_of(queryset: Any, options: CacheOptions) -> CachedResults | None:
    """The cached results of a queryset; `None` where it must be read from the database."""
    config = conf.config()
    if not config.enabled or queryset._nocache or queryset.query.select_for_update:
        return None
    model, hints = queryset.model, queryset._hints
    alias = router.db_for_write(model, **hints)
    if queryset._for_write or (queryset._db is not None and queryset._db != alias):
        return None  # Said to be read from there, perhaps a replica: nothing comes from it.
    seen_as = queryset._db or router.db_for_read(model, **hints)
    connection = connections[alias]
    if reads_a_snapshot(connection) and in_any_transaction(connection):
        return None
    try:
        store = store_of(config)
    except PolicyError:
        return None  # A system check says so.
    return CachedResults(queryset, options, store, alias, seen_as)


def rows_age(model: type[Model]) -> bool:
    """Whether writes leave a model's row entries as they are.

    Then what was said to `.cache()` of ttl and tags cannot hold for results made of them.
    """
    return bool(conf.policy_of(model).invalidation == "ttl")


def options_of(
    ttl: Any, tags: Iterable[str] | str, changes: Mapping[str, Any], model: type[Model]
) -> CacheOptions:
    """The options of a call of `.cache()`. Raises `PolicyError` where they are wrong."""
    said = dict(changes) if ttl is None else {"ttl": ttl, **changes}
    options = CacheOptions(said, _names(tags, model))
    options.policy(model)
    return options


def _names(tags: Any, model: type[Model]) -> tuple[str, ...]:
    """The names of tags, in the same order in each process."""
    if isinstance(tags, str):
        return (tags,)
    if not isinstance(tags, Iterable):
        raise PolicyError(
            f".cache() of {model._meta.label}: tags is {tags!r}. Give a name, or a list of names."
        )
    return tuple(sorted({str(name) for name in tags}))


def _is_of_whole_rows(queryset: Any) -> bool:
    """Whether a queryset gives instances with just the columns of their own model."""
    query = queryset.query
    return (
        queryset._iterable_class is ModelIterable
        and not queryset._known_related_objects
        and query.default_cols
        and not query.select
        and not query.annotations
        and not query.extra
        and query.select_related is False
        and query.combinator is None
        and query.group_by is None
        and query.deferred_loading == (frozenset(), True)
    )
