"""A process that writes, in every style, and looks at what it has written.

Whoever locks several rows holds an advisory lock, so that two such writers do not wait for each
other. `history_absence` is locked before the rows.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.db import DatabaseError, connection, transaction
from django.db.models import F

from .areas import are_about_items
from .ground import ERASABLE, KEPT, ROWS, STEADY, SWAPPING, WANDERERS_SLUGS, WANDERING, slug_of
from .hand import POISON, Hand, Regret
from .sessions.styles import REFUSED
from .statements import CHANGES, CREATIONS, DELETIONS, Changes
from .subject import subject
from .tally import Tally
from .workload import Workload


def write(workload: Workload, name: str, number: int) -> Tally:
    """Write until the time is up."""
    return Writer(workload, name, number).run()


class Writer:
    """Writes in one style after another, each as often as the others."""

    def __init__(self, workload: Workload, name: str, number: int) -> None:
        self._workload = workload
        self._rng = random.Random(f"{workload.seed}/writer {number}")
        self._subject = subject(name, workload.areas)
        self._model = self._subject.model
        self._signals = self._subject.by_signals_only
        self._tally = Tally()
        self._hand = Hand(workload, self._rng, self._tally)
        self._style = ""
        self._next: list[str] = []
        self._styles = self._subject.styles(self._hand)
        if are_about_items(workload.areas):
            self._styles |= self._item_styles()

    def run(self) -> Tally:
        for name in self._styles:
            self._tally.count(f"style: {name}", 0)
        ends = time.monotonic() + self._workload.seconds
        with self._subject.pausing(self._hand.pause):
            while time.monotonic() < ends:
                time.sleep(self._rng.expovariate(1 / self._workload.gap))
                self._write()
        for outcome, number in self._subject.outcomes().items():
            self._tally.count(f"writers' {outcome}", number)
        connection.close()
        self._hand.close()
        return self._tally

    def _item_styles(self) -> dict[str, Callable[[], None]]:
        styles: dict[str, Callable[[], None]] = {
            "one row": self._one,
            "autocommit": self._in_autocommit,
            "several rows": self._several,
            "savepoint rolled back": self._savepoint,
            "savepoint of another row rolled back": self._other_savepoint,
            "savepoint released": self._released,
            "rolled back": self._roll_back,
            "failed at COMMIT": self._fail_at_commit,
            "failed statement": self._fail_in_statement,
            "deleted or made": self._delete_or_make,
            "made or deleted, and rolled back": self._delete_or_make_and_regret,
            "slug moved": self._wander,
            "slugs swapped": self._swap,
        }
        if not self._signals:
            styles["several rows by one UPDATE"] = self._update_several
        return styles

    def _write(self) -> None:
        if not self._next:
            self._next = self._rng.sample(list(self._styles), len(self._styles))
        self._style = self._next.pop()
        self._tally.count(f"style: {self._style}")
        try:
            self._styles[self._style]()
        except (Regret, DatabaseError, ObjectDoesNotExist, *REFUSED) as error:
            self._tally.count("rolled back")
            self._tally.count(f"{self._style}: {type(error).__name__}")
        else:
            self._tally.count("committed")
            self._tally.count(f"committed: {self._style}")

    # Styles

    def _one(self) -> None:
        with transaction.atomic():
            row = self._locked(self._rng.choice(ROWS))
            self._promise(row)
            self._raise(row)
            self._hand.pause()

    def _in_autocommit(self) -> None:
        pk = self._rng.choice(ROWS)
        if self._signals or self._rng.random() < 0.5:
            row = self._model(pk=pk, stock=F("stock") + 1)
            row.save(update_fields=["stock"])
        else:
            self._model.objects.filter(pk=pk).update(stock=F("stock") + 1)

    def _update_several(self) -> None:
        pks = self._rng.sample(ROWS, 3)
        with self._hand.alone(for_transaction=False):
            self._model.objects.filter(pk__in=pks).update(stock=F("stock") + 1)

    def _several(self) -> None:
        with transaction.atomic(), self._hand.alone():
            for pk in sorted(self._rng.sample(KEPT, 3)):
                row = self._locked(pk)
                self._raise(row)
                self._promise(row)
            self._hand.pause()

    def _savepoint(self) -> None:
        with transaction.atomic():
            row = self._locked(self._rng.choice(ROWS))
            if self._rng.random() < 0.5:
                self._raise(row)
            with self._hand.regretted():
                self._poison(self._copy(row))
            self._own(row)
            if self._rng.random() < 0.5:
                self._hand.pause()
                self._raise(row)
            self._promise(row)

    def _other_savepoint(self) -> None:
        first, second = sorted(self._rng.sample(KEPT, 2))
        with transaction.atomic(), self._hand.alone():
            row, other = self._locked(first), self._locked(second)
            self._raise(row)
            with self._hand.regretted():
                self._poison(other)
            self._hand.pause()
            self._own(row)
            self._promise(row)

    def _released(self) -> None:
        with transaction.atomic():
            row = self._locked(self._rng.choice(ROWS))
            with transaction.atomic():
                self._raise(row)
                with transaction.atomic(savepoint=False):
                    self._raise(row)
            self._hand.pause()
            self._own(row)
            self._promise(row)

    def _roll_back(self) -> None:
        with transaction.atomic():
            row = self._locked(self._rng.choice(ROWS))
            self._poison(row)
            raise Regret

    def _fail_at_commit(self) -> None:
        with transaction.atomic():
            row = self._locked(self._rng.choice(KEPT))
            row.shelf_id = 999_999_999  # Foreign keys are checked when the transaction commits.
            row.stock = POISON
            row.save()
            self._hand.pause()

    def _fail_in_statement(self) -> None:
        pk, other = sorted(self._rng.sample(STEADY, 2))  # Others lock in this order, too.
        self._model(pk=pk, slug=slug_of(other), stock=POISON).save(update_fields=["slug", "stock"])

    def _delete_or_make(self) -> None:
        pk = self._rng.choice(ERASABLE)
        with transaction.atomic():
            self._turn(pk)
            self._hand.pause()

    def _delete_or_make_and_regret(self) -> None:
        pk = self._rng.choice(ERASABLE)
        with transaction.atomic():
            self._turn(pk, poisoned=True)
            self._hand.pause()
            raise Regret

    def _wander(self) -> None:
        with transaction.atomic():
            gone_at = self._lock_absent_slugs(WANDERERS_SLUGS)
            row = self._locked(WANDERING)
            left = row.slug
            (taken,) = set(WANDERERS_SLUGS) - {left}
            generation = row.place
            self._change(row, slug=taken, place=gone_at[taken] + 1, stock=row.stock + 1)
            self._slug_is_gone(left, generation + 1)
            self._promise(row)
            self._hand.pause()

    def _swap(self) -> None:
        with transaction.atomic(), self._hand.alone():
            a, b = (self._locked(pk) for pk in SWAPPING)
            (slug_a, place_a), (slug_b, place_b) = (a.slug, a.place), (b.slug, b.place)
            self._change(a, slug=f"poison-{a.pk}", stock=a.stock + 1)
            self._change(b, slug=slug_a, place=place_a + 1, stock=b.stock + 1)
            self._hand.pause()
            self._change(a, slug=slug_b, place=place_b + 1, stock=a.stock + 1)
            self._promise(a)
            self._promise(b)

    # Their parts

    def _locked(self, pk: int) -> Any:
        return self._model.objects.select_for_update().get(pk=pk)

    def _raise(self, row: Any) -> None:
        self._change(row, stock=row.stock + 1)
        self._own(row)

    def _poison(self, row: Any) -> None:
        self._change(row, stock=POISON - self._rng.randint(0, 999))
        self._own(row)
        self._hand.pause()

    def _change(self, row: Any, **changes: Any) -> None:
        how = self._rng.choice(CHANGES[self._signals])
        self._tally.count(f"statement: {how.__name__}")
        how(row, changes)

    def _turn(self, pk: int, *, poisoned: bool = False) -> None:
        """Delete a row if it is there, make it if it is not."""
        slug = slug_of(pk)
        version = self._lock_absent_row(pk)
        generation = self._lock_absent_slugs([slug])[slug]
        row = self._model.objects.select_for_update().filter(pk=pk).first()
        if row is None:
            stock = POISON if poisoned else version + 1
            row = self._model(pk=pk, name=f"Row {pk}", slug=slug, place=generation + 1, stock=stock)
            how = self._rng.choice(CREATIONS[self._signals])
            how(row)
            self._own(row)
        else:
            how = self._rng.choice(DELETIONS)
            how(self._copy(row))
            self._row_is_gone(pk, row.stock + 1)
            self._slug_is_gone(slug, row.place + 1)
            if self._subject.read(pk) is not None:
                self._tally.fault("own", f"{self._style}: row {pk} is there, but was deleted")
        self._tally.count(f"statement: {how.__name__}")

    def _own(self, row: Any) -> None:
        """A transaction sees what it has written."""
        seen = self._subject.read(row.pk)
        self._tally.count("own reads")
        if seen is None or (seen.stock, seen.slug) != (row.stock, row.slug):
            self._tally.fault("own", f"{self._style}: {seen and seen.__dict__}, but {row.__dict__}")

    def _promise(self, row: Any) -> None:
        """Whoever is called after the commit sees the new value, at once."""
        if self._rng.random() < 0.5:
            transaction.on_commit(partial(self._kept_promise, row.pk, row.stock))

    def _kept_promise(self, pk: int, stock: int) -> None:
        seen = self._subject.read(pk)
        self._tally.count("on_commit reads")
        if seen is None:
            if pk in KEPT:
                self._tally.fault("stale", f"on_commit: no row {pk}")
        elif seen.stock < stock:
            self._tally.fault("stale", f"on_commit: {seen.stock} of row {pk}, not {stock}")

    def _copy(self, row: Any) -> Any:
        values: Changes = {name: getattr(row, name) for name in ("name", "slug", "place", "stock")}
        copy = self._model(pk=row.pk, shelf_id=row.shelf_id, **values)
        copy._state.adding = False
        copy._state.db = row._state.db
        return copy

    # The table of those that are not there

    def _lock_absent_row(self, pk: int) -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT version FROM history_absence WHERE pk = %s FOR UPDATE", [pk])
            return int(cursor.fetchone()[0])

    def _lock_absent_slugs(self, slugs: Sequence[str]) -> dict[str, int]:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT slug, version FROM history_absence WHERE slug = ANY(%s) "
                "ORDER BY slug FOR UPDATE",
                [list(slugs)],
            )
            return dict(cursor.fetchall())

    def _row_is_gone(self, pk: int, version: int) -> None:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE history_absence SET version = %s WHERE pk = %s", [version, pk])

    def _slug_is_gone(self, slug: str, generation: int) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE history_absence SET version = %s WHERE slug = %s", [generation, slug]
            )
