"""A process that reads, and judges each of its reads."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

from django.db import connection, transaction

from .ground import ROWS, SLUGS
from .judge import Judge
from .subject import ReadRow, ReadRows, subject
from .tally import Tally
from .witness import Noted, Witness
from .workload import ATOMIC, AUTOCOMMIT, REPEATABLE_READ, Workload

Floor = tuple[dict[int, Noted], dict[str, Noted]]
"""What was committed before a snapshot was taken: its reads show no less, and may show no more."""


def read(workload: Workload, name: str, kind: str, number: int) -> Tally:
    """Read until the time is up."""
    return Reader(workload, name, kind, number).run()


class Reader:
    """Reads in one kind of transaction, in every way that the subject has."""

    def __init__(self, workload: Workload, name: str, kind: str, number: int) -> None:
        self._workload = workload
        self._kind = kind
        self._rng = random.Random(f"{workload.seed}/reader {number}")
        self._subject = subject(name)
        self._tally = Tally()
        self._witness = Witness()
        self._judge = Judge(self._witness, self._tally)
        self._visit: Callable[[], None] = {
            AUTOCOMMIT: self._look,
            ATOMIC: self._atomic,
            REPEATABLE_READ: self._repeatable_read,
        }[kind]

    def run(self) -> Tally:
        ends = time.monotonic() + self._workload.seconds
        with self._subject.pausing(self._fill_pause):
            while time.monotonic() < ends:
                self._visit()
        for outcome, number in self._subject.outcomes().items():
            self._tally.count(outcome, number)
        connection.close()
        return self._tally

    def _atomic(self) -> None:
        with transaction.atomic():
            for _ in range(self._rng.randint(1, 4)):
                self._look()
                self._linger()

    def _repeatable_read(self) -> None:
        floor = self._witness.rows(ROWS), self._witness.slugs(SLUGS)
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            if self._rng.random() < 0.5:
                cursor.execute("SELECT 1")  # The snapshot is that of the first query.
            for _ in range(self._rng.randint(2, 6)):
                self._linger()
                self._look(floor)

    def _look(self, floor: Floor | None = None) -> None:
        way = self._rng.choice(self._subject.ways)
        how = f"{way.name} in {self._kind}"
        self._tally.count("reads")
        self._tally.count(f"read by {way.name}")
        if isinstance(way, ReadRow):
            pk = self._rng.choice(way.pks)
            noted = floor[0] if floor else self._witness.rows([pk])
            self._judge.row(how, pk, noted[pk], way.read(pk))
        elif isinstance(way, ReadRows):
            pks = self._rng.sample(way.pks, self._rng.randint(1, 4))
            noted = floor[0] if floor else self._witness.rows(pks)
            found = way.read(pks)
            for pk in pks:
                self._judge.row(how, pk, noted[pk], found.get(pk))
        else:
            slug = self._rng.choice(SLUGS)
            committed: Any = floor[1] if floor else self._witness.slugs([slug])
            self._judge.slug(how, slug, committed[slug], way.read(slug))

    def _linger(self) -> None:
        if self._rng.random() < 0.3:
            time.sleep(self._rng.uniform(0, self._workload.fill_pause))

    def _fill_pause(self) -> None:
        """Mostly none or a short one, now and then one that outlasts a whole write."""
        chance = self._rng.random()
        if chance < 0.5:
            longest = self._workload.fill_pause * (10 if chance < 0.15 else 1)
            time.sleep(self._rng.uniform(0, longest))
