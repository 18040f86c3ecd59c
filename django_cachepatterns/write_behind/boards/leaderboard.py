"""Leaderboards: a model's scores, ranked at the speed of the buffer server."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property, partial
from itertools import chain
from typing import Any

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model, Value

from ... import conf, fields, metrics
from ...exceptions import BufferFull, PolicyError, StoreUnavailable
from ...stores import RedisBoards, boards_of
from ...stores.boards import UNKNOWN, BoardKeys, Rules
from ...stores.buffers import FULL, LARGEST
from ...transactions import state
from ...transactions.publishing import may_publish
from .. import problems, registry
from ..buffer import Buffer
from ..draining import drain_at_exit
from ..reports import Flushed
from ..sending import Given, new_operation, sent
from ..tenants import of_now
from . import following, rebuilding, refreshing, rows, scores, unseen
from .coroutines import BoardCoroutines
from .members import Members
from .problems import of_board
from .scores import Arithmetic, Change
from .standing import Standing

_Triple = tuple[bytes, bytes, int]


class Leaderboard(BoardCoroutines, Buffer[Change]):
    """Ranks the rows of a model by an integer column.

        best_sellers = Leaderboard("best-sellers", model=Product, field="sold")

        best_sellers.increment(42, 3)
        best_sellers.submit(42, 900)
        best_sellers.top(10)

    Of equal scores the lower primary key comes first (texts in the order of their bytes), so that
    SQL gives the same: `ORDER BY score DESC, pk`. Rows whose score is NULL have no rank.

    Reads see what was counted before. Where the server has lost the board, the next read rebuilds
    it from the database and from what waits; readers that come meanwhile wait for half a second,
    and then get what the database has. So do all while the server is away.

    Args:
        name: its name, of its own among all buffers of the project.
        model: the model, or its label.
        field: the name of an integer column.
        order: `desc`: the highest score is the best; `asc`: the lowest.
        on_commit: whether what is counted in a transaction counts only if that commits.
        flush_every, batch_rows, max_pending, when_full, strict: see `Buffer`.

    Scores and amounts are integers of at most 2**53 on either side of 0.
    """

    kind = "Leaderboard"

    def __init__(
        self,
        name: str,
        model: type[Model] | str,
        field: str,
        order: str = "desc",
        on_commit: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(name, **options)
        self.label = model if isinstance(model, str) else model._meta.label
        self.field = field
        self.order = order
        self.on_commit = on_commit
        self._model: type[Model] | None = None
        registry.register(self)
        following.follow(self)

    # What the table is.

    @property
    def model(self) -> type[Model]:
        """The model whose table has the column. Raises `LookupError` where there is none."""
        return self._model or self.take(apps.get_model(self.label))

    def take(self, model: type[Model]) -> type[Model]:
        """Take note of the model that was named. Returns the one whose table has the column."""
        self._model = model._meta.concrete_model or model
        with suppress(FieldDoesNotExist):  # A system check says so.
            self._model = fields.column(self._model, self.field).model
        return self._model

    def known_model(self) -> type[Model] | None:
        """The model, if it has been loaded."""
        return self._model

    @cached_property
    def members(self) -> Members:
        """Its rows as members of the board."""
        return Members(self.model)

    @cached_property
    def arithmetic(self) -> Arithmetic:
        """What changes make of its scores."""
        return Arithmetic(self.order == "desc", self._removed())

    @cached_property
    def _rules(self) -> Rules:
        removed = self.arithmetic.removed
        return Rules(self.order.encode(), b"" if removed is None else b"%d" % removed)

    def rules(self) -> Rules:
        """How it ranks, for the scripts."""
        return self._rules

    def _removed(self) -> int | None:
        """The score of a row that is removed: none, or the column's default, or 0."""
        field = fields.column(self.model, self.field)
        if field.null:
            return None
        default = field.get_default() if field.has_default() else _literal_db_default(field)
        return default if isinstance(default, int) else 0

    # What a buffer is.

    def columns(self) -> Sequence[str]:
        return [fields.attname(self.model, self.field)]

    def signature(self) -> str:
        return f"{self.kind} of {self.label.lower()}: {self.field}, {self.order}"

    def problems(self) -> list[problems.Problem]:
        return list(of_board(self))

    def server(self) -> RedisBoards:
        return boards_of(conf.config())

    def board_keys(self) -> BoardKeys:
        """The keys of its board, of the current tenant."""
        config = conf.config()
        buffer = self.keys_in(config)
        made: BoardKeys | None = config.memo.get(("board", buffer.root))
        if made is None:
            made = config.remember(("board", buffer.root), lambda: BoardKeys(buffer))
        return made

    def parse(self, raw: Mapping[bytes, bytes]) -> dict[Any, Change]:
        pk, parse = self.members.pk, self.arithmetic.parse
        return {pk(member): parse(text.decode()) for member, text in raw.items()}

    def apply(self, connection: BaseDatabaseWrapper, changes: Mapping[Any, Change]) -> int:
        return rows.change(connection, self, changes)

    def to_text(self, change: Change) -> str:
        return scores.text_of(change)

    def from_text(self, text: str) -> Change:
        return self.arithmetic.parse(text)

    # Counting.

    def increment(
        self,
        pk: Any,
        by: int = 1,
        *,
        strict: bool | None = None,
        operation: str | None = None,
        on_commit: bool | None = None,
    ) -> None:
        """Add to a score; no score counts as 0.

        Args:
            pk: the row's primary key, or an instance.
            by: how many; may be negative.
            strict: send an operation id, so that a try again after a lost reply counts once.
            operation: an id of the caller's own, for tries of the caller's own.
            on_commit: count only if the open transaction commits.

        Raises `TypeError` and `ValueError` for wrong values, `BufferFull` and `OutcomeUnknown`.
        """
        self._change(b"+", {pk: by}, strict, operation, on_commit)

    def increment_many(
        self,
        amounts: Mapping[Any, int],
        *,
        strict: bool | None = None,
        operation: str | None = None,
        on_commit: bool | None = None,
    ) -> None:
        """Add to several scores, in one round trip for each thousand. Args as for `increment`."""
        self._change(b"+", amounts, strict, operation, on_commit)

    def submit(
        self,
        pk: Any,
        score: int,
        *,
        strict: bool | None = None,
        operation: str | None = None,
        on_commit: bool | None = None,
    ) -> None:
        """Set a score, unless the row has a better one. Args and errors as for `increment`."""
        self._change(b"^", {pk: score}, strict, operation, on_commit)

    def submit_many(
        self,
        scores: Mapping[Any, int],
        *,
        strict: bool | None = None,
        operation: str | None = None,
        on_commit: bool | None = None,
    ) -> None:
        """Submit several scores, in one round trip for each thousand."""
        self._change(b"^", scores, strict, operation, on_commit)

    def remove(self, pk: Any) -> None:
        """Take a row off the board, with its score and what waits for it.

        Its column becomes NULL, or its default where it cannot. It stays off until it is counted
        for again, or gets another score.

        Raises `StoreUnavailable` where the server is away, because what waits there would bring the
        row back, and `BufferFull`.
        """
        drain_at_exit(self)
        self.follow_testcase()
        member = self.members.member(pk)
        arguments = (*self._rules, member, b"-", b"0")
        outcome = sent(self, "score", arguments, Given(True), self.board_keys().shared)
        if outcome is None:
            raise StoreUnavailable(
                f"{self.name}: nobody can be removed while the buffer server is away, because what "
                "waits there would bring them back. Try again later."
            )
        if outcome == FULL:
            raise BufferFull(f"{self.name}: as many rows wait as max_pending lets. Flush it first.")

    def reset(self) -> None:
        """Take everybody's score away, and what waits. What is counted from now on stays.

        Columns become NULL, or their default where they cannot: then all rows are on the board
        with that.

        Raises `StoreUnavailable`, and `PolicyError` inside of a transaction.
        """
        rebuilding.reset(self)

    def _change(
        self,
        what: bytes,
        numbers: Mapping[Any, int],
        strict: bool | None,
        operation: str | None,
        on_commit: bool | None,
    ) -> None:
        member = self.members.member
        triples = [
            (member(pk), what, scores.checked(self.name, number)) for pk, number in numbers.items()
        ]
        count = partial(self._count, triples, strict, operation)
        if self.on_commit if on_commit is None else on_commit:
            transaction.on_commit(of_now(count), using=self.alias)
        else:
            count()

    def _count(self, triples: list[_Triple], strict: bool | None, operation: str | None) -> None:
        is_strict = self.strict if strict is None else strict
        is_new = is_strict and operation is None and len(triples) > LARGEST
        if is_new:
            operation = new_operation()  # One for all parts, by which all of it is tried again.
        if operation is not None:
            triples = sorted(triples)  # Tried again, each part must have the members that it had.
        for at in range(0, len(triples), LARGEST):
            some = triples[at : at + LARGEST]
            outcome = self._send(
                "score",
                (*self._rules, *chain.from_iterable((m, w, b"%d" % n) for m, w, n in some)),
                partial(self._changes, triples[at:] if is_new else some),
                strict=is_strict,
                operation=operation,
                part=at,
                is_new=is_new,
                more_keys=self.board_keys().shared,
            )
            if outcome == UNKNOWN:
                self._look_at([member for member, _, _ in some])
            if is_new and outcome in (None, FULL):
                break  # All of the rest was written: no later part may ask for another try.
        metrics.count(self.name, "increment", len(triples))

    def _changes(self, triples: Sequence[_Triple]) -> dict[Any, Change]:
        found: dict[Any, Change] = {}
        for member, what, number in triples:
            pk = self.members.pk(member)
            change = scores.adding(number) if what == b"+" else scores.submitting(number)
            found[pk] = self.arithmetic.together(found[pk], change) if pk in found else change
        return found

    def _look_at(self, members: Sequence[bytes]) -> None:
        """The board does not have all of these: ask the database for their scores."""
        if may_publish(self.alias):
            refreshing.refresh_counted(self, members)
        else:
            refreshing.refresh_at_commit(self, members)

    # Reading.

    def top(self, n: int, offset: int = 0) -> list[Standing]:
        """The best.

        Args:
            n: how many.
            offset: how many are left out before them.

        Raises `TypeError` and `ValueError` for what is no such number.
        """
        n = scores.checked_places(self.name, "n", n)
        offset = scores.checked_places(self.name, "offset", offset)
        if not n:
            return []
        last = b"%d" % (offset + n - 1)
        found = self._ask(b"range", b"%d" % offset, last)
        if found is None:
            return rows.top(self, n, offset)
        return self._standings(found, offset)

    def rank(self, pk: Any) -> int | None:
        """The place of a row, from 1; `None` where it is not on the board."""
        member = self.members.member(pk)
        if "django.test.testcases" in sys.modules:
            refreshing.settle(self)
        with suppress(StoreUnavailable, PolicyError):
            place = self.server().rank(self.board_keys(), member)
            if place is not None:
                return place + 1
        found = self._ask(b"rank", member)
        if found is None:
            return rows.rank(self, self.members.pk(member))
        return int(found[0]) + 1 if found else None

    def score(self, pk: Any) -> int | None:
        """The score of a row; `None` where it is not on the board."""
        member = self.members.member(pk)
        found = self._ask(b"score", member)
        if found is None:
            return rows.score(self, self.members.pk(member))
        return self._score(found[0]) if found else None

    def around(self, pk: Any, n: int) -> list[Standing]:
        """A row among its neighbours; empty where it is not on the board.

        Args:
            n: how many above it, and how many below.

        Raises as `top` does.
        """
        n = scores.checked_places(self.name, "n", n)
        member = self.members.member(pk)
        found = self._ask(b"around", member, b"%d" % n)
        if found is not None:
            return self._standings(found[1:], int(found[0])) if found else []
        rank = rows.rank(self, self.members.pk(member))
        if rank is None:
            return []
        first = max(0, rank - 1 - n)
        return rows.top(self, rank + n - first, first)

    def size(self) -> int:
        """How many rows are on the board."""
        found = self._ask(b"size")
        return rows.size(self) if found is None else int(found[0])

    def pending(self) -> int:
        """How many changes wait to be flushed: one for each row of each batch."""
        return sum(each.rows for each in self.backlog())

    def _ask(self, *arguments: bytes) -> list[Any] | None:
        """What the board answers; `None` where the database has to be asked."""
        if "django.test.testcases" in sys.modules:
            refreshing.settle(self)
        try:
            found = self.server().ask(self.board_keys(), *arguments)
            if found is None and rebuilding.ensure(self):
                found = self.server().ask(self.board_keys(), *arguments)
        except (StoreUnavailable, PolicyError):
            return None
        return found

    def _standings(self, found: Sequence[bytes], first: int) -> list[Standing]:
        """What the server says of places, without the last member, which is nobody."""
        each = iter(found)
        return [
            Standing(rank, self.members.pk(member), self._score(score))
            for rank, (member, score) in enumerate(zip(each, each, strict=True), first + 1)
            if score != b"inf"
        ]

    def _score(self, stored: bytes) -> int:
        score = int(float(stored))
        return -score if self.order == "desc" else score

    # What else has written.

    def rebuild(self) -> None:
        """Make the board anew from the database and from what waits.

        For writes that it is not told of: `update()`, `bulk_create()` and SQL.

        Raises `StoreUnavailable`, and `PolicyError` in a transaction that has written.
        """
        rebuilding.rebuild(self)

    def refresh(self, pks: Iterable[Any]) -> None:
        """The same for some rows only. In a transaction, when that has committed."""
        self.rewritten(list(pks))

    def rewritten(self, pks: Sequence[Any]) -> None:
        members = [self.members.member(pk) for pk in pks]
        connection = connections[self.alias]
        if not state.in_transaction(connection):
            refreshing.refresh_or_note(self, members)
            return
        try:
            # Should this process die after the commit, the next flush looks at them.
            self.server().add_todo(self.board_keys(), members)
        except StoreUnavailable:
            unseen.note(self)
        except PolicyError:
            return  # There is no server, so there is no board.
        else:
            refreshing.refresh_at_commit(self, members)

    def _write_around(self, changes: Mapping[Any, Change], *, full: bool) -> None:
        with transaction.atomic(using=self.alias):
            self.write_now(changes)
            if full:
                self.rewritten(list(changes))
            else:
                unseen.note(self)

    def landed(self, changes: Mapping[Any, Change], counts: Flushed) -> None:
        if counts.batches and not counts.dropped and not counts.refused:
            return
        try:
            refreshing.refresh(self, [self.members.member(pk) for pk in changes])
        except StoreUnavailable:
            # A server without memory for it must be flushed all the same.
            unseen.note(self)

    def after_flush(self) -> None:
        with suppress(StoreUnavailable):  # A later flush does it.
            ids = unseen.noted(self)
            if ids:
                self.server().drop(self.board_keys())
                unseen.forget(self, ids)
            refreshing.drain(self)

    def follow_testcase(self) -> None:
        """In a `TestCase`, what it has counted, and the board, go when it rolls its rows back."""
        if "django.test.testcases" in sys.modules:
            self._follow_testcase()


def _literal_db_default(field: Any) -> Any:
    """The `db_default` of a column where that is a value; what the database computes is not."""
    default = field.db_default
    return default.value if isinstance(default, Value) else default
