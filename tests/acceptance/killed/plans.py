"""What each writer does, and where it is killed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

COMMITTED = "between COMMIT and end-write"
BEFORE_BEGIN = "before begin-write"
BEFORE_STATEMENT = "between begin-write and the statement"
BEFORE_COMMIT = "between the statement and COMMIT"
ANYWHERE = "anywhere"

CHANGES = (
    "save",
    "save_in_autocommit",
    "save_fields",
    "save_expression",
    "update",
    "update_expression",
    "bulk_update",
    "upsert",
    "update_or_create",
    "several",
    "nested",
)
CREATIONS = ("create", "bulk_create", "get_or_create")
DELETIONS = ("delete", "delete_by_query")
SLUGS = ("take_slug", "take_slug_by_update")
STYLES = (*CHANGES, *CREATIONS, *DELETIONS, *SLUGS)

OLD, NEW = 0, 1
"""The two states of a row. A state is older than another as its number is less."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One write, of a row that nobody else writes.

    Args:
        pk: the row.
        style: how it is written.
        point: where the writer is killed.
        mark_ttl: seconds until its marks lapse.
    """

    pk: int
    style: str
    point: str
    mark_ttl: float

    @property
    def slug(self) -> str | None:
        """The slug by which the row is looked for; `None`: by its primary key."""
        return new_slug(self.pk) if self.style in SLUGS else None

    @property
    def is_there_at_first(self) -> bool:
        return self.style not in CREATIONS

    def state(self, stock: int | None) -> int:
        """The state that a read shows: the stock that it found, or `None` where nothing was."""
        if self.style in DELETIONS:
            return NEW if stock is None else OLD
        return NEW if stock == 2 else OLD


def old_slug(pk: int) -> str:
    return f"slug-{pk}"


def new_slug(pk: int) -> str:
    return f"new-slug-{pk}"


def made_plans(point: str, count: int, mark_ttl: float, first: int) -> list[Plan]:
    """Plans for `count` rows, every style as often as the others."""
    styles = [STYLES[n % len(STYLES)] for n in range(count)]
    random.Random(first).shuffle(styles)
    return [Plan(first + n, style, point, mark_ttl) for n, style in enumerate(styles)]


def lay(plans: Sequence[Plan]) -> None:
    """Put the rows there."""
    from tests.testapp.models import Item

    Item.objects.bulk_create(
        [
            Item(pk=plan.pk, name=f"Row {plan.pk}", slug=old_slug(plan.pk), stock=1)
            for plan in plans
            if plan.is_there_at_first
        ]
    )
