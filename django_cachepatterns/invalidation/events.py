"""Event-based invalidation: Django's signals, as the two steps of a write."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from django.apps import AppConfig
from django.db import connections, router
from django.db.models import Model, signals

from .. import conf
from ..exceptions import PolicyError, StoreUnavailable
from ..log_events import event
from ..stores import store_of
from ..transactions import noting, write_log
from ..transactions.callbacks import undo_with_testcase
from . import registry, touched, versions

logger = logging.getLogger("django_cachepatterns")

_TouchedBy = Callable[..., Iterable[bytes]]


def connect(model: type[Model]) -> None:
    """Listen to the writes of one model.

    Each model by itself and never all: a listener to every model would cost every project its
    fast deletes.
    """
    for signal, receiver, uid in _receivers():
        signal.connect(receiver, sender=model, weak=False, dispatch_uid=uid)


def disconnect(model: type[Model]) -> None:
    """Listen no more to the writes of a model."""
    for signal, _, uid in _receivers():
        signal.disconnect(sender=model, dispatch_uid=uid)


def _receivers() -> Iterator[tuple[signals.ModelSignal, Callable[..., None], str]]:
    for signal, receiver in (
        (signals.pre_save, before_save),
        (signals.post_save, after_save),
        (signals.pre_delete, before_delete),
    ):
        yield signal, receiver, f"django_cachepatterns.{receiver.__name__}"


def before_save(
    sender: type[Model],
    instance: Model,
    using: str,
    update_fields: Collection[str] | None = None,
    raw: bool = False,
    **kwargs: Any,
) -> None:
    """Announce the write; it is marked right before its statement."""
    # Weakly: a save that fails half-way must not keep its instance.
    reference = weakref.ref(instance)
    save = (reference, using, update_fields, raw)
    keys = partial(_asked_of, touched.by_save, *save)
    late = None
    if versions.has_indexes(sender, using):
        late = partial(_asked_of, touched.values_by_save, *save)
    write_log(using).open(keys, instance, late)


def _asked_of(touched_by: _TouchedBy, reference: weakref.ref[Model], *save: Any) -> Iterable[bytes]:
    """What a save touches, if its instance is still there."""
    instance = reference()
    return () if instance is None else touched_by(instance, *save)


def after_save(
    sender: type[Model], instance: Model, using: str, created: bool = False, **kwargs: Any
) -> None:
    """The statement has run: in autocommit that was the commit."""
    if created:
        log = write_log(using)
        log.begin(touched.to_install(instance, using), log.window_of(instance))
        undo_with_testcase(connections[using], partial(touched.entries_of, instance, using))
    abandon(instance, using)


def before_delete(sender: type[Model], instance: Model, using: str, **kwargs: Any) -> None:
    """Queue the row: a cascade announces all its rows before its first statement."""
    late = None
    if versions.has_indexes(sender, using) and instance.pk is not None:
        late = (_values_of_deleted, (sender, using), instance.pk)
    write_log(using).queue(touched.by_delete(instance, using), late)


def _values_of_deleted(where: tuple[type[Model], str], pks: list[Any]) -> Iterable[bytes]:
    model, alias = where
    return versions.of_written(model, list(dict.fromkeys(pks)), alias, deleted=True)


def abandon(instance: Model, using: str | None) -> None:
    """Take an announcement back, and in autocommit end the write."""
    log = write_log(using or router.db_for_write(type(instance), instance=instance))
    window = log.window_of(instance)
    if window is not None:
        log.close(window)


def after_migrate(
    sender: AppConfig, using: str, plan: Sequence[tuple[Any, bool]] | None = None, **kwargs: Any
) -> None:
    """Drop the entries of an app that was migrated, or of all when the database was flushed.

    What migrations write by SQL or by `update()`, and what `flush` truncates, sends no signal.
    """
    if plan is not None and all(step.app_label != sender.label for step, _ in plan):
        return
    for model in registry.tracked_models():
        if model._meta.app_label == sender.label:
            forget(model)


def forget(model: type[Model]) -> None:
    """Drop every entry of a model."""
    config = conf.config()
    label = f"{config.values['KEY_PREFIX']}:{model._meta.label_lower}"
    noting.invalidated([label.encode()], "forget")
    try:
        store_of(config).drop_family(label)
    except (StoreUnavailable, PolicyError) as error:
        label = model._meta.label
        extra = event("invalidation_failed", model=label, error=str(error))
        logger.error("Could not drop the entries of %s: %s.", label, error, extra=extra)
