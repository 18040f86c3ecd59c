"""What keeps the figures of all processes small on the server."""

from __future__ import annotations

from celery import shared_task

EXPIRES = 60
"""Seconds after which it is dropped where no worker has taken it: the next one does as much."""


@shared_task(  # type: ignore[untyped-decorator]
    name="django_cachepatterns.roll_up_metrics", ignore_result=True, expires=EXPIRES
)
def roll_up_metrics() -> int:
    """Roll up the minutes that are over. Returns how many there were with figures in them."""
    from .. import conf
    from ..exceptions import StoreUnavailable
    from ..metrics.rollup import roll_up

    if not conf.config().measures:
        return 0
    try:
        return roll_up()
    except StoreUnavailable:
        return 0  # It is said often enough; the next one does as much.
