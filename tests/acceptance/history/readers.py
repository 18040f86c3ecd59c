"""A process of threads that read, and judge each of their reads."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from django.db import connection, transaction

from .areas import are_about_items
from .ask import Ask
from .chronicle import Floor
from .examiner import Examiner
from .ground import ROWS, SLUGS
from .judge import Judge
from .subject import ReadRow, ReadRows, Subject, Way, area_of, subject
from .tally import Tally
from .witness import Noted, Witness
from .workload import ATOMIC, AUTOCOMMIT, REPEATABLE_READ, Workload


class Before(NamedTuple):
    """What was committed before a snapshot was taken: its reads show no less, and may show more."""

    rows: dict[int, Noted]
    slugs: dict[str, Noted]
    floor: Floor


def read(workload: Workload, name: str, kind: str, number: int) -> Tally:
    """Read until the time is up."""
    tested = subject(name, workload.areas)
    pause = _FillPause(workload, number)
    with tested.pausing(pause), ThreadPoolExecutor(workload.threads) as pool:
        # A reader's connections are those of the thread that makes it.
        done = [
            pool.submit(lambda each: Reader(workload, tested, kind, f"{number}.{each}").run(), each)
            for each in range(workload.threads)
        ]
        tally = Tally.sum([each.result() for each in done])
    for outcome, count in tested.outcomes().items():
        tally.count(outcome, count)
    return tally


class Reader:
    """Reads in one kind of transaction, in every way that the subject has."""

    def __init__(self, workload: Workload, tested: Subject, kind: str, name: str) -> None:
        self._workload = workload
        self._kind = kind
        self._rng = random.Random(f"{workload.seed}/reader {name}")
        self._ways: dict[str, list[Way]] = {}
        for way in (*tested.ways, *tested.asks):
            if area_of(way) in workload.areas:
                self._ways.setdefault(area_of(way), []).append(way)
        self._tally = Tally()
        self._witness = Witness()
        self._judge = Judge(self._witness, self._tally)
        self._examiner = Examiner(self._witness.chronicle, self._tally)
        self._statements = 0
        self._visit: Callable[[], None] = {
            AUTOCOMMIT: self._look,
            ATOMIC: self._atomic,
            REPEATABLE_READ: self._repeatable_read,
        }[kind]

    def run(self) -> Tally:
        ends = time.monotonic() + self._workload.seconds
        with connection.execute_wrapper(self._count_statement):
            while time.monotonic() < ends:
                self._visit()
        connection.close()
        self._witness.connection.close()
        return self._tally

    def _atomic(self) -> None:
        with transaction.atomic():
            for _ in range(self._rng.randint(1, 4)):
                self._look()
                self._linger()

    def _repeatable_read(self) -> None:
        before = self._everything()
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            if self._rng.random() < 0.5:
                cursor.execute("SELECT 1")  # The snapshot is that of the first query.
            for _ in range(self._rng.randint(2, 6)):
                self._linger()
                self._look(before)

    def _everything(self) -> Before:
        floor = self._witness.chronicle.floor()
        if not are_about_items(self._workload.areas):
            return Before({}, {}, floor)
        return Before(self._witness.rows(ROWS), self._witness.slugs(SLUGS), floor)

    def _look(self, before: Before | None = None) -> None:
        way = self._rng.choice(self._ways[self._rng.choice(list(self._ways))])
        how = f"{way.name} in {self._kind}"
        self._tally.count("reads")
        self._tally.count(f"read by {way.name}")
        if isinstance(way, Ask):
            self._ask(way, how, before)
        elif isinstance(way, ReadRow):
            pk = self._rng.choice(way.pks)
            noted = before.rows if before else self._witness.rows([pk])
            self._judge.row(how, pk, noted[pk], self._read(way, pk))
        elif isinstance(way, ReadRows):
            pks = self._rng.sample(way.pks, self._rng.randint(1, 4))
            noted = before.rows if before else self._witness.rows(pks)
            found = self._read(way, pks)
            for pk in pks:
                self._judge.row(how, pk, noted[pk], found.get(pk))
        else:
            slug = self._rng.choice(SLUGS)
            committed: Any = before.slugs if before else self._witness.slugs([slug])
            self._judge.slug(how, slug, committed[slug], self._read(way, slug))

    def _ask(self, ask: Ask, how: str, before: Before | None) -> None:
        argument = self._rng.choice(ask.arguments)
        floor = before.floor if before else self._witness.chronicle.floor()
        self._examiner.examine(how, ask, argument, floor, self._read(ask, argument))

    def _read(self, way: Way, argument: Any) -> Any:
        """Reads, and counts whether the cache alone has answered."""
        statements, area = self._statements, area_of(way)
        found = way.read(argument)
        self._tally.count(f"asked: {area}")
        if self._statements == statements:
            self._tally.count(f"served: {area}")
        return found

    def _count_statement(self, execute: Any, *arguments: Any) -> Any:
        self._statements += 1
        return execute(*arguments)

    def _linger(self) -> None:
        if self._rng.random() < 0.3:
            time.sleep(self._rng.uniform(0, self._workload.fill_pause))


class _FillPause(threading.local):
    """Mostly none or a short one, now and then one that outlasts a whole write."""

    def __init__(self, workload: Workload, number: int) -> None:
        self._longest = workload.fill_pause
        self._rng = random.Random(f"{workload.seed}/pause {number} {threading.get_ident()}")

    def __call__(self) -> None:
        chance = self._rng.random()
        if chance < 0.5:
            time.sleep(self._rng.uniform(0, self._longest * (10 if chance < 0.15 else 1)))
