"""`invalidate()`: for what was written behind the ORM's back, and for tags of the user's own."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from django.db import connections, router, transaction
from django.db.models import Model

from .. import conf
from ..exceptions import PolicyError, StoreUnavailable
from ..log_events import event, seldom, shown
from ..stores import store_of
from ..transactions import noting, write_log
from ..transactions.state import in_transaction
from . import events, registry, touched, versions

logger = logging.getLogger("django_cachepatterns")


def invalidate(*targets: Model | type[Model] | str, using: str | None = None) -> None:
    """Make the cache forget what it knows of objects, models or tags.

    Inside a transaction that happens when it commits; until then readers go to the database. Rows
    and lists of a model need none of this for what is written through the ORM.

    Args:
        targets: model instances (their rows, lookups, and the lists that they could be in), model
            classes (all rows and lists), or the names of tags.
        using: the database of the objects; by default where they are written.

    Raises `PolicyError` for anything else, and for a model whose entries are not known.
    """
    keys: list[bytes] = []
    for target in targets:
        if isinstance(target, str):
            keys.append(conf.config().key_space().tag(target))
        elif isinstance(target, Model):
            alias = using or router.db_for_write(type(target), instance=target)
            _check(type(target))
            keys += touched.by_save(target, alias)
            keys += touched.entries_of(target, alias)
            keys += versions.of_any_value(type(target), alias)
        elif isinstance(target, type) and issubclass(target, Model):
            _check(target)
            alias = using or router.db_for_write(target)
            keys += touched.by_insert(target, alias)
            keys += versions.of_any_value(target, alias)
            _forget_rows(target, alias)
        else:
            raise PolicyError(
                f"invalidate() got a {type(target).__name__}. Give it a model instance, a model "
                "class or the name of a tag."
            )
    drop(keys)


def drop(keys: Iterable[bytes], family: str | None = None) -> None:
    """Drop entries and tags now, or where transactions are open, with their commit.

    Args:
        keys: theirs.
        family: what metrics call it, where the keys do not say so.
    """
    names = list(dict.fromkeys(keys))
    if not names:
        return
    open_ones = [each for each in connections.all(initialized_only=True) if in_transaction(each)]
    for connection in open_ones:
        write_log(connection.alias).begin(names)
    if not open_ones:
        noting.invalidated(names, "invalidate", family)
    elif family is not None and not noting.is_known(names[0]):
        noting.count(names, family)  # The end of the transaction counts those that it knows.
    try:
        store_of(conf.config()).drop(names)
    except (StoreUnavailable, PolicyError) as error:
        level, held_back = seldom(logging.ERROR, "invalidation_failed")
        logger.log(
            level,
            "Could not invalidate %d cache entries: %s.",
            len(names),
            error,
            extra=event(
                "invalidation_failed",
                count=len(names),
                keys=[shown(name) for name in names[:5]],
                error=str(error),
                held_back=held_back,
            ),
        )


def _check(model: type[Model]) -> None:
    if not registry.targets_of(model):
        raise PolicyError(
            f"invalidate() got {model._meta.label}, of which nothing is cached. Derive it from "
            "CachedModel, or name it in CACHEPATTERNS['POLICIES']: "
            f"{{{model._meta.label!r}: {{}}}}."
        )


def _forget_rows(model: type[Model], alias: str) -> None:
    """Drop the entries of all rows, after the commit: until then the old ones are right."""
    targets: Any = {target.model for target in registry.targets_of(model)}

    def forget() -> None:
        for each in targets:
            events.forget(each)

    if in_transaction(connections[alias]):
        transaction.on_commit(forget, using=alias)
    else:
        forget()  # In a `TestCase`, too, whose own transaction has no commit.
