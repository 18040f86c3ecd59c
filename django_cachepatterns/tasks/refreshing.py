"""Refreshes of stale values, for policies with `refresh="celery"`."""

from __future__ import annotations

import atexit
import logging
import os
import time
from typing import Any

from celery import Celery, current_app, shared_task

from ..log_events import event, seldom, shown
from ..stampede.refresher import Refresher
from ..stampede.revalidate import Place

logger = logging.getLogger("django_cachepatterns")

EXPIRES = 60
"""Seconds after which nobody needs a refresh any more: another reader has asked again."""
PAUSE = 5.0
"""Seconds in which a process asks for a key's refresh only once."""

SENDER = Refresher(threads=1)
"""Talks to the broker. Of its own: a broker that is away must not hold other refreshes up."""
os.register_at_fork(after_in_child=SENDER.forget)
atexit.register(SENDER.end)

_asked: dict[bytes, float] = {}


@shared_task(  # type: ignore[untyped-decorator]
    name="django_cachepatterns.refresh", ignore_result=True, expires=EXPIRES
)
def refresh(
    recipe: dict[str, Any],
    tenant: str | None = None,
    language: str | None = None,
    zone: str | None = None,
) -> bool:
    """Refresh a value that a reader found stale, if it is still so.

    Args:
        recipe: what the value's source said of it.
        tenant: whose keys.
        language: the reader's; `None`: the worker's own.
        zone: the name of the reader's time zone, the same.
    """
    from ..recipes import refresh_by_recipe

    with Place(tenant, language, zone).entered():
        return refresh_by_recipe(recipe)


def send(key: bytes, recipe: dict[str, Any]) -> None:
    """Have a worker refresh a key. Whoever found it stale waits neither for it nor for the broker.

    A broker that is away leaves the value stale; the next reader after a pause asks again.
    """
    now = time.monotonic()
    if _asked.get(key, 0.0) > now:
        return
    if len(_asked) > 10_000:
        _asked.clear()
    _asked[key] = now + PAUSE
    place = Place.here()
    # The reader's own: which app is the current one is a matter of the thread.
    app = current_app._get_current_object()
    SENDER.submit(key, lambda: _send(app, key, recipe, place))


def _send(app: Celery, key: bytes, recipe: dict[str, Any], place: Place) -> None:
    arguments = (recipe, *place.told())
    try:
        app.send_task(refresh.name, arguments, retry=False, ignore_result=True, expires=EXPIRES)
    except Exception as error:  # noqa: BLE001 - each broker's transport has errors of its own
        name = shown(key)
        level, held_back = seldom(logging.WARNING, "refresh_not_sent")
        logger.log(
            level,
            "Celery was not told to refresh %s: %s",
            name,
            error,
            extra=event("refresh_not_sent", key=name, error=str(error), held_back=held_back),
        )
