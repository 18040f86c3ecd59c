"""The ways in which notices are written."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

from django.db import connection, transaction

from ..chronicle import announce, transaction_id
from ..hand import POISON, Hand, Regret
from .ground import NOTICE, names, put
from .source import Source


class NoticeStyles:
    """Writes of the notices of one source.

    Args:
        hand: that of the writer.
        source: what is written.
    """

    def __init__(self, hand: Hand, source: Source) -> None:
        self._hand = hand
        self._rng: random.Random = hand.rng
        self._source = source

    def by_name(self) -> Mapping[str, Callable[[], None]]:
        """All of them."""
        if self._source.moment == "after":
            styles = {"changed": self._told_after}
        else:
            styles = {
                "changed": self._told_within,
                "rolled back": self._roll_back,
                "savepoint rolled back": self._savepoint,
                "long": self._long,
            }
            if self._source.write is not None:
                styles["in autocommit"] = self._in_autocommit
        prefix = f"{self._source.kind} told {self._source.moment}"
        return {f"{prefix} {name}": style for name, style in styles.items()}

    def _told_within(self) -> None:
        name = self._any_name()
        with transaction.atomic():
            n = self._locked(name)
            self._write(name, n + 1)
            self._look(name)

    def _told_after(self) -> None:
        name = self._any_name()
        with transaction.atomic():
            n = self._locked(name)
            put(name, n + 1)
            changed_in = transaction_id()
        self._hand.pause()
        self._source.tell(name)
        announce(name, changed_in)

    def _in_autocommit(self) -> None:
        assert self._source.write is not None
        name, n = self._any_name(), self._rng.randint(1, 1_000_000_000)
        if self._rng.random() < 0.8:
            self._source.write(name, n)
        else:
            with transaction.atomic():
                self._source.tell(name)
                put(name, None)

    def _roll_back(self) -> None:
        name = self._any_name()
        with transaction.atomic():
            self._locked(name)
            self._write(name, POISON - self._rng.randint(0, 999))
            self._look(name)
            raise Regret

    def _savepoint(self) -> None:
        name = self._any_name()
        with transaction.atomic():
            n = self._locked(name)
            if self._rng.random() < 0.5:
                self._write(name, n + 1)
            with self._hand.regretted():
                self._write(name, POISON)
                self._own(name)
                self._hand.pause()
            if self._rng.random() < 0.5:
                self._write(name, n + 2)
            self._look(name)

    def _long(self) -> None:
        name = self._any_name()
        with transaction.atomic():
            n = self._locked(name)
            self._write(name, n + 1)
            self._hand.long_pause()
            self._look(name)
            if self._rng.random() < 0.3:
                raise Regret

    # Their parts

    def _any_name(self) -> str:
        return self._rng.choice(names(self._source.kind, self._source.moment))

    def _write(self, name: str, n: int) -> None:
        if self._source.write is not None:
            self._source.write(name, n)
        elif self._rng.random() < 0.5:
            self._source.tell(name)
            put(name, n)
        else:
            put(name, n)
            self._source.tell(name)

    def _look(self, name: str) -> None:
        self._own(name)
        self._hand.promise(self._source.asks)
        self._hand.pause()

    def _own(self, name: str) -> None:
        self._hand.own([ask for ask in self._source.asks if name in ask.arguments], NOTICE)

    def _locked(self, name: str) -> int:
        """The number of a notice. Where there is none, nobody else makes it meanwhile."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [name])
            cursor.execute("SELECT n FROM history_notice WHERE name = %s FOR UPDATE", [name])
            return int((cursor.fetchone() or (0,))[0])
