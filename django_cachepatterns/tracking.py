"""Which models are followed, and having them followed: the cached ones and those of the settings.

A model is named in POLICIES by its exact label, or by an authentication backend or a session
engine in use that has a `followed_models()`, as those of `contrib` have.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db.models import Model, signals
from django.utils.module_loading import import_string

from . import conf
from .invalidation import events, registry
from .options import follow_managers, leave_managers, use_cached_base_manager
from .orm import many_to_many
from .policy import CachePolicy

_SETTINGS = frozenset(
    {"AUTHENTICATION_BACKENDS", "AUTH_USER_MODEL", "CACHEPATTERNS", "INSTALLED_APPS"}
    | {"SESSION_ENGINE"}
)
_followed: set[type[Model]] = set()


def start() -> None:
    """Follow what there is to follow. Called when the apps are ready."""
    for model in apps.get_models():
        registry.add(model)
    _name()
    _apply()


def settings_changed(setting: str, **kwargs: Any) -> None:
    """A test has changed a setting: follow what it says now, and no more."""
    if setting not in _SETTINGS:
        return
    before = registry.tracked_models()
    _name()
    _apply()
    for model in registry.tracked_models():
        if model not in before:
            events.forget(model)  # Nobody knows what was written meanwhile.


def prepared(sender: type[Model], **kwargs: Any) -> None:
    """A model was made after the apps were ready, such as a migration's of the same name."""
    if sender._meta.abstract:
        return
    if sender.__module__ != "__fake__":
        named = sender._meta.label_lower in conf.named_policies()
        if named:
            _name(sender)  # Django knows it only when this has returned.
        if registry.add(sender) or named:
            registry.rebuild()
    if registry.targets_of(sender):
        _follow(sender)


def _name(*late: type[Model]) -> None:
    """Tell the registry and the policies of what the settings name."""
    labels = conf.named_policies()
    declared = dict(_declared())
    conf.set_default_policies({m._meta.label_lower: policy for m, policy in declared.items()})
    named = [model for model in apps.get_models() if model._meta.label_lower in labels]
    registry.name([*declared, *named, *late])


def _declared() -> Iterator[tuple[type[Model], CachePolicy]]:
    """What backends and the session engine need, with the policies that they want."""
    for kind in _kinds():
        declare = getattr(kind, "followed_models", None)
        models: Mapping[type[Model], CachePolicy] = declare() if declare else {}
        yield from models.items()


def _kinds() -> Iterator[Any]:
    # Django's own are not ours, and may not even be importable: they are set by default.
    for path in settings.AUTHENTICATION_BACKENDS:
        if not path.startswith("django.contrib."):
            yield _imported(import_string, path)
    if not settings.SESSION_ENGINE.startswith("django.contrib."):
        yield getattr(_imported(import_module, settings.SESSION_ENGINE), "SessionStore", None)


def _imported(load: Any, path: str) -> Any:
    try:
        return load(path)
    except Exception:  # noqa: BLE001 - anybody's module; Django says what is wrong when it is used
        return None


def _apply() -> None:
    """Follow each model whose writes touch an entry, and leave those that were followed before."""
    registry.rebuild()
    for model in list(_followed):
        if not registry.targets_of(model):
            _leave(model)
    for model in registry.written_models():
        _follow(model)
    for model in apps.get_models():
        _watch_ends(model)
    _forget_related_managers()


def _follow(model: type[Model]) -> None:
    if model.__module__ == "__fake__":
        events.connect(model)
        return
    _followed.add(model)
    if model._meta.auto_created:
        # Django sends no signals for it; and listeners would cost it its fast deletes.
        many_to_many.follow_instances(model)
        follow_managers(model)
        return
    events.connect(model)
    if registry.is_cached(model):
        use_cached_base_manager(model)
    else:
        follow_managers(model)


def _leave(model: type[Model]) -> None:
    _followed.discard(model)
    leave_managers(model)
    if model._meta.auto_created:
        many_to_many.leave_instances(model)
    else:
        events.disconnect(model)


def _watch_ends(model: type[Model]) -> None:
    """Listen to the deletes at the ends of followed many-to-many tables, and at no others."""
    receiver, uid = many_to_many.before_delete, "django_cachepatterns.many_to_many"
    if registry.links_to(model):
        signals.pre_delete.connect(receiver, sender=model, weak=False, dispatch_uid=uid)
    else:
        signals.pre_delete.disconnect(sender=model, dispatch_uid=uid)


def _forget_related_managers() -> None:
    """Django makes the classes of related managers once, from the managers as they were then."""
    for model in apps.get_models(include_auto_created=True):
        for attribute in vars(model).values():
            if "related_manager_cls" in getattr(attribute, "__dict__", ()):
                del attribute.__dict__["related_manager_cls"]
