"""What the writers of all worlds do alike."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from django.db import connection, transaction

from .ask import Ask
from .chronicle import Scope, state_now
from .examiner import Examiner
from .tally import Tally
from .witness import Witness
from .workload import Workload

POISON = -1_000_000
"""A number that is never committed."""
_SEVERAL = 7_205_759_403


class Regret(Exception):
    """Rolls a block back."""


class Hand:
    """Chance, pauses, and looks at what was written.

    Args:
        workload: says how long pauses are.
        rng: all chance is from here.
        tally: where faults are counted.
    """

    def __init__(self, workload: Workload, rng: random.Random, tally: Tally) -> None:
        self.rng = rng
        self.tally = tally
        self._longest = workload.write_pause
        self._witness = Witness()
        self._examiner = Examiner(self._witness.chronicle, tally)

    def pause(self) -> None:
        """Mostly, a short one."""
        if self.rng.random() < 0.7:
            time.sleep(self.rng.uniform(0, self._longest))

    def long_pause(self) -> None:
        """One that outlasts several writes of others."""
        time.sleep(self.rng.uniform(0, self._longest * 40))

    def close(self) -> None:
        """Close the connection to the witness."""
        self._witness.connection.close()

    @contextmanager
    def regretted(self) -> Iterator[None]:
        """A savepoint that is rolled back."""
        try:
            with transaction.atomic():
                yield
                raise Regret
        except Regret:
            self.tally.count("savepoints rolled back")

    @contextmanager
    def alone(self, *, for_transaction: bool = True) -> Iterator[None]:
        """The right to lock several rows, until the transaction or the block ends."""
        with connection.cursor() as cursor:
            if for_transaction:
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_SEVERAL])
                yield
            else:
                cursor.execute("SELECT pg_advisory_lock(%s)", [_SEVERAL])
                try:
                    yield
                finally:
                    cursor.execute("SELECT pg_advisory_unlock(%s)", [_SEVERAL])

    def own(self, asks: Sequence[Ask], scope: Scope) -> None:
        """A transaction sees what it has written: asks one of the questions in it."""
        ask = self.rng.choice(asks)
        argument = self.rng.choice(ask.arguments)
        before = state_now(scope)
        seen = ask.read(argument)
        after = state_now(scope)
        self.tally.count("own reads")
        # Others may have committed since: then it may be from before or after that, or between.
        if before == after and not ask.possible(ask.answer, [after], argument, seen):
            words = f"{ask.name}, {argument!r}: {seen!r}, not {ask.answer(after, argument)!r}"
            self.tally.fault("own", words)
            self.tally.count(f"own in {ask.area}")

    def promise(self, asks: Sequence[Ask]) -> None:
        """Whoever is called after the commit sees the new values, at once."""
        if self.rng.random() < 0.5:
            ask = self.rng.choice(asks)
            transaction.on_commit(partial(self._keep, ask, self.rng.choice(ask.arguments)))

    def _keep(self, ask: Ask, argument: Any) -> None:
        floor = self._witness.chronicle.floor()
        self.tally.count("on_commit reads")
        self._examiner.examine(f"on_commit: {ask.name}", ask, argument, floor, ask.read(argument))
