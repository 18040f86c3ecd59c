"""A process that writes one row and is killed on the way."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from typing import Any, NoReturn

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F

from django_cachepatterns import hooks
from tests.testapp.models import Item

from .plans import (
    ANYWHERE,
    BEFORE_BEGIN,
    BEFORE_COMMIT,
    BEFORE_STATEMENT,
    COMMITTED,
    Plan,
    new_slug,
    old_slug,
)

PAUSE = 0.006
"""The longest pause before the statement, and before COMMIT, in seconds."""
LIFE = 0.035
"""The longest life of a process that is killed anywhere, in seconds from where it could begin."""


def write_and_die(plan: Plan) -> NoReturn:
    """Write as planned; only a process that is killed anywhere may come through."""
    settings.CACHEPATTERNS = {**settings.CACHEPATTERNS, "MARK_TTL": plan.mark_ttl}
    writer = Doomed(plan)
    with hooks.listening(before_end_write=writer.over), connection.execute_wrapper(writer.watch):
        writer.write()
    os._exit(0)


class Doomed:
    """Writes, and kills its own process when it gets to the point."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._rng = random.Random(plan.pk)

    def write(self) -> None:
        connection.ensure_connection()
        getattr(self, f"_{self._plan.style}")()

    def over(self, written: hooks.Written) -> None:
        """The transaction has committed, and its marks are about to go."""
        self._at(COMMITTED)

    def watch(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        """Stands right around each statement."""
        if not sql.startswith(("INSERT", "UPDATE", "DELETE")):
            return execute(sql, params, many, context)
        self._at(BEFORE_STATEMENT)
        result = execute(sql, params, many, context)
        if connection.in_atomic_block:
            self._at(BEFORE_COMMIT)
        return result

    def _at(self, point: str) -> None:
        if self._plan.point == ANYWHERE and point == BEFORE_BEGIN:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends the process, like a kill
            signal.setitimer(signal.ITIMER_REAL, self._rng.uniform(0.001, LIFE))
        if self._plan.point == point:
            os.kill(os.getpid(), signal.SIGKILL)

    def _pause(self) -> None:
        time.sleep(self._rng.uniform(0, PAUSE))

    # The ways to write

    def _in_transaction(self, way: Callable[[Item], object]) -> None:
        with transaction.atomic():
            item = Item.objects.select_for_update().get(pk=self._plan.pk)
            self._at(BEFORE_BEGIN)
            self._pause()
            way(item)
            self._pause()

    def _save(self) -> None:
        def way(item: Item) -> None:
            item.stock = 2
            item.save()

        self._in_transaction(way)

    def _save_in_autocommit(self) -> None:
        item = Item.objects.nocache().get(pk=self._plan.pk)
        item.stock = 2
        self._at(BEFORE_BEGIN)
        self._pause()
        item.save()

    def _save_fields(self) -> None:
        self._at(BEFORE_BEGIN)
        self._pause()
        Item(pk=self._plan.pk, stock=2).save(update_fields=["stock"])

    def _save_expression(self) -> None:
        def way(item: Item) -> None:
            item.stock = F("stock") + 1
            item.save(update_fields=["stock"])

        self._in_transaction(way)

    def _update(self) -> None:
        self._in_transaction(lambda item: Item.objects.filter(pk=item.pk).update(stock=2))

    def _update_expression(self) -> None:
        self._at(BEFORE_BEGIN)
        self._pause()
        Item.objects.filter(pk=self._plan.pk).update(stock=F("stock") + 1)

    def _bulk_update(self) -> None:
        def way(item: Item) -> None:
            item.stock = 2
            Item.objects.bulk_update([item], ["stock"])

        self._in_transaction(way)

    def _upsert(self) -> None:
        def way(item: Item) -> None:
            item.stock = 2
            Item.objects.bulk_create(
                [item], update_conflicts=True, unique_fields=["id"], update_fields=["stock"]
            )

        self._in_transaction(way)

    def _update_or_create(self) -> None:
        self._at(BEFORE_BEGIN)
        self._pause()
        Item.objects.update_or_create(pk=self._plan.pk, defaults={"stock": 2})

    def _several(self) -> None:
        def way(item: Item) -> None:
            item.name = "one statement"
            item.save()
            self._pause()
            Item.objects.filter(pk=item.pk).update(stock=F("stock") + 1)

        self._in_transaction(way)

    def _nested(self) -> None:
        def way(item: Item) -> None:
            with transaction.atomic():
                item.stock = 2
                item.save()
            self._pause()

        self._in_transaction(way)

    def _create(self) -> None:
        with transaction.atomic():
            self._at(BEFORE_BEGIN)
            self._pause()
            self._new().save()
            self._pause()

    def _bulk_create(self) -> None:
        with transaction.atomic():
            self._at(BEFORE_BEGIN)
            self._pause()
            Item.objects.bulk_create([self._new()])
            self._pause()

    def _get_or_create(self) -> None:
        self._at(BEFORE_BEGIN)
        self._pause()
        new = self._new()
        Item.objects.get_or_create(
            pk=new.pk, defaults={"name": new.name, "slug": new.slug, "stock": new.stock}
        )

    def _new(self) -> Item:
        pk = self._plan.pk
        return Item(pk=pk, name=f"Row {pk}", slug=old_slug(pk), stock=2)

    def _delete(self) -> None:
        self._in_transaction(lambda item: item.delete())

    def _delete_by_query(self) -> None:
        self._in_transaction(lambda item: Item.objects.filter(pk=item.pk).delete())

    def _take_slug(self) -> None:
        def way(item: Item) -> None:
            item.slug, item.stock = new_slug(item.pk), 2
            item.save()

        self._in_transaction(way)

    def _take_slug_by_update(self) -> None:
        self._at(BEFORE_BEGIN)
        self._pause()
        Item.objects.filter(pk=self._plan.pk).update(slug=new_slug(self._plan.pk), stock=2)
