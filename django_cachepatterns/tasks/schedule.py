"""The schedule for Celery beat."""

from __future__ import annotations

from typing import Any

from celery.schedules import crontab
from django.apps import apps

from .auditing import EVERY, SAMPLE

TICK = 1.0
LEAST_EXPIRES = 10.0
"""Seconds. Beat says by its own clock when a task expires, and a worker drops it by its own: clocks
that differ by more than this would have every task dropped."""
_MINUTE, _HOUR = 60.0, 3600.0


def beat_schedule(*, tick: float = TICK, expires: float | None = None) -> dict[str, dict[str, Any]]:
    """What has Celery beat flush the write-behind buffers, audit the cache, and tidy up.

        CELERY_BEAT_SCHEDULE = {**django_cachepatterns.tasks.beat_schedule(), ...}

    In the settings, where no model is known yet, it is one task that finds at each tick which
    buffers are due. Called later (after `django.setup()`), it is one task for each buffer, at its
    own `flush_every`; boards and drafts whose modules are not imported yet are not among them.

    Args:
        tick: seconds between looks at which buffers are due.
        expires: seconds after which a task that no worker has taken is dropped; `None`: as long as
            the time to the next one, at least ten. So a worker that was stopped does not wake to a
            pile of tasks.
    """
    schedule = _each_buffer(expires) if apps.models_ready else _ticks(tick, expires)
    schedule["django_cachepatterns: roll up metrics"] = {
        "task": "django_cachepatterns.roll_up_metrics",
        "schedule": _MINUTE,
        "options": {"expires": _expires(_MINUTE, None)},
    }
    schedule["django_cachepatterns: prune the ledger"] = {
        "task": "django_cachepatterns.prune_ledger",
        "schedule": crontab(hour="3", minute="17"),
        "options": {"expires": _HOUR},
    }
    schedule["django_cachepatterns: audit a sample"] = {
        "task": "django_cachepatterns.audit",
        "schedule": EVERY,
        "kwargs": {"sample": SAMPLE},
        "options": {"expires": EVERY},
    }
    return schedule


def _ticks(tick: float, expires: float | None) -> dict[str, dict[str, Any]]:
    return {
        "django_cachepatterns: flush what is due": {
            "task": "django_cachepatterns.flush_due",
            "schedule": tick,
            "kwargs": {"tick": tick},
            "options": {"expires": _expires(tick, expires)},
        }
    }


def _each_buffer(expires: float | None) -> dict[str, dict[str, Any]]:
    from ..write_behind import registry

    return {
        f"django_cachepatterns: flush {buffer.name}": {
            "task": "django_cachepatterns.flush",
            "schedule": buffer.flush_every,
            "args": (buffer.name,),
            "options": {"expires": _expires(buffer.flush_every, expires)},
        }
        for buffer in registry.buffers()
    }


def _expires(every: float, expires: float | None) -> float:
    return max(every, LEAST_EXPIRES) if expires is None else expires
