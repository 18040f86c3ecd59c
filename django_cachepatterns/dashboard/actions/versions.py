"""What ends a whole policy at once, however many entries it has: the tags that all depend on."""

from __future__ import annotations

from collections.abc import Iterator

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import Model

from ... import conf
from ...fragments import Fragment
from ...invalidation import versions
from ...keys import KeySpace
from ..families import FRAGMENT, family_of


def tags_of_tag(name: str) -> list[bytes]:
    """The key of a tag of the user's own; nothing where each tenant has one, see `tags_of`."""
    space = _space()
    return [] if space is None else [space.tag(name)]


def tags_of(name: str) -> list[bytes]:
    """The tags on which all entries of a policy depend; nothing where there are none.

    Lists depend on their model's tables, rows do with `invalidation="version"`, and fragments on
    their name. With tenants there is nothing: each has tags of its own, and nobody knows them all.
    """
    space, family = _space(), family_of(name)
    if space is None:
        return []
    if name.startswith(FRAGMENT):
        return Fragment(name.removeprefix(FRAGMENT), ()).tags(space)[:1]
    if family.model is None or family.policy is None:
        return []
    if family.kind == "lists" or family.policy.invalidation == "version":
        return list(_of_model(family.model)) if _has_version(family.model) else []
    return []


def _has_version(model: type[Model]) -> bool:
    """Whether a model's own table has one: with `invalidation="ttl"` only its parents' may."""
    tables = versions.tables_of(model, DEFAULT_DB_ALIAS)
    return any(table.model is model._meta.concrete_model for table in tables)


def _of_model(model: type[Model]) -> Iterator[bytes]:
    """What a write changes of which nobody knows the rows."""
    for alias in connections:
        yield from versions.of_tables(model, alias)
        yield from versions.of_any_value(model, alias)


def _space() -> KeySpace | None:
    config = conf.config()
    return config.key_space() if config.tenant is None else None
