"""The app: finds the models whose writes are followed, and starts to listen."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.core.signals import setting_changed
from django.db.models import signals


class CachePatternsConfig(AppConfig):
    """`django_cachepatterns` in INSTALLED_APPS."""

    name = "django_cachepatterns"
    verbose_name = "Cache patterns"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from . import (  # noqa: F401 - the checks register themselves
            at_exit,
            checks,
            hooks,
            log_events,
            tracking,
        )
        from .invalidation import events
        from .metrics import sending

        tracking.start()
        sending.install()
        at_exit.end_well_under_uvicorn()
        hooks.refreshers["celery"] = _send_to_celery
        if _without_secrets not in log_events.conceal:
            log_events.conceal.append(_without_secrets)
        for signal, receiver in (
            (signals.post_migrate, events.after_migrate),
            (signals.class_prepared, tracking.prepared),
            (setting_changed, tracking.settings_changed),
        ):
            uid = f"django_cachepatterns.{receiver.__name__}"
            signal.connect(receiver, dispatch_uid=uid, weak=False)


def _send_to_celery(key: bytes, recipe: dict[str, Any]) -> None:
    """Celery is loaded when something is first refreshed by it."""
    from .tasks import send

    send(key, recipe)


def _without_secrets(key: str) -> str:
    """What the log says of a key; inspection is loaded when the log first names one."""
    from . import conf
    from .inspection.secrets import key_without_secrets

    return key_without_secrets(key, conf.config().values["KEY_PREFIX"])
