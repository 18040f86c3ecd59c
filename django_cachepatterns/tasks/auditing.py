"""Audits of a sample of the cache, every few minutes."""

from __future__ import annotations

import logging
from typing import Any

from celery import shared_task

logger = logging.getLogger("django_cachepatterns")

EVERY = 300.0
"""Seconds between audits."""
SAMPLE = 1000
"""Entries that each compares: in a day, some 300,000."""


@shared_task(  # type: ignore[untyped-decorator]
    name="django_cachepatterns.audit", ignore_result=True, expires=EVERY
)
def audit(
    sample: int | None = SAMPLE, heal: bool = False, rate: float | None = None
) -> dict[str, Any]:
    """Compare entries with the database; each call goes on where the last one ended.

    What is found is logged, counted as `finding`, and shown by the dashboard. Returns the numbers;
    none where the cache server is away, which is logged.

    Args:
        sample: about how many; `None`: all.
        heal: delete what is wrong.
        rate: entries per second, at most.
    """
    from ..audit import audit as run
    from ..exceptions import StoreUnavailable
    from ..log_events import event

    try:
        report = run(sample=sample, heal=heal, rate=rate)
    except StoreUnavailable as error:
        extra = event("audit_failed", error=str(error))
        logger.warning("The cache could not be audited: %s", error, extra=extra)
        return {}
    return {"checked": report.checked, "found": report.found, "healed": report.healed}
