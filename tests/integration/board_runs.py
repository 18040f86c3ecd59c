"""A model of leaderboards in a few lines, and runs of everything in any order beside it."""

from __future__ import annotations

import random
from collections.abc import Callable

import redis
from django.db import OperationalError

from django_cachepatterns import hooks
from django_cachepatterns.testing import outage
from django_cachepatterns.write_behind import Leaderboard, Standing
from tests.integration.boards import lose
from tests.testapp.models import Player

Op = Callable[[int | None], int | None]


class Exact:
    """What a board and its table should be.

    Args:
        board: whose rules.
    """

    def __init__(self, board: Leaderboard) -> None:
        self.best = max if board.order == "desc" else min
        self.removed = 0 if board.name == "rising" else None
        self.sign = -1 if board.order == "desc" else 1
        self.rows: dict[int, int | None] = {}
        self.waiting: dict[int, list[Op]] = {}
        self.off: set[int] = set()

    def add(self, pk: int, by: int) -> Op:
        self.off.discard(pk)
        return lambda score: (score or 0) + by

    def submit(self, pk: int, score: int) -> Op:
        self.off.discard(pk)
        return lambda old: score if old is None else self.best(old, score)

    def wait(self, pk: int, op: Op) -> None:
        self.waiting.setdefault(pk, []).append(op)

    def remove(self, pk: int) -> None:
        self.waiting[pk] = [lambda _: self.removed]
        if self.removed is not None:
            self.off.add(pk)

    def score(self, pk: int) -> int | None:
        score = self.rows[pk]
        for op in self.waiting.get(pk, ()):
            score = op(score)
        return score

    def flush(self) -> None:
        self.rows = {pk: self.score(pk) for pk in self.rows}
        self.waiting.clear()

    def top(self) -> list[Standing]:
        found = [(self.score(pk), pk) for pk in self.rows]
        on = [
            (score, pk)
            for score, pk in found
            if score is not None and not (pk in self.off and score == self.removed)
        ]
        on.sort(key=lambda each: (self.sign * each[0], each[1]))
        return [Standing(rank, pk, score) for rank, (score, pk) in enumerate(on, 1)]


class Run:
    """One run of random steps.

    Args:
        board: which.
        client: a bare connection to the server.
        seed: of the run.
    """

    def __init__(self, board: Leaderboard, client: redis.Redis, seed: int) -> None:
        self.board, self.client = board, client
        self.exact = Exact(board)
        self.random = random.Random(seed)
        self.unfinished = False
        self.history: list[str] = []
        for _ in range(6):
            self.create()

    def step(self) -> None:
        (name,) = self.random.choices(*zip(*STEPS_AND_WEIGHTS, strict=True))
        if self.unfinished and name in ("save", "delete", "lose_everything", "away", "reset"):
            self.flush()  # Only the database knows how far it came.
        self.history.append(name)
        getattr(self, name)()
        self.check()

    def check(self) -> None:
        expected = self.exact.top()
        if self.random.random() < 0.7:
            assert self.board.top(100) == expected, self.history[-12:]
        if expected and self.random.random() < 0.5:
            each = self.random.choice(expected)
            assert self.board.rank(each.member) == each.rank, self.history[-12:]
            assert self.board.score(each.member) == each.score
            first = max(0, each.rank - 3)
            assert self.board.around(each.member, 2) == expected[first : each.rank + 2]
        if self.random.random() < 0.3:
            assert self.board.size() == len(expected), self.history[-12:]

    def pk(self) -> int:
        return self.random.choice(list(self.exact.rows))

    def number(self) -> int:
        return self.random.choice([0, 1, -1, 2, -3, 5, self.random.randint(-20, 20)])

    def create(self) -> None:
        score = self.number()
        time = self.random.choice([None, self.number()])
        pk = Player.objects.create(score=score, best_time=time).pk
        self.exact.rows[pk] = score if self.board.name == "rising" else time

    def increment(self) -> None:
        pk, by = self.pk(), self.number()
        self.board.increment(pk, by)
        self.exact.wait(pk, self.exact.add(pk, by))

    def submit(self) -> None:
        pk, score = self.pk(), self.number()
        self.board.submit(pk, score)
        self.exact.wait(pk, self.exact.submit(pk, score))

    def many(self) -> None:
        pks = self.random.sample(list(self.exact.rows), k=min(4, len(self.exact.rows)))
        numbers = {pk: self.number() for pk in pks}
        if self.random.random() < 0.5:
            self.board.increment_many(numbers)
            made = self.exact.add
        else:
            self.board.submit_many(numbers)
            made = self.exact.submit
        for pk, number in numbers.items():
            self.exact.wait(pk, made(pk, number))

    def remove(self) -> None:
        pk = self.pk()
        self.board.remove(pk)
        self.exact.remove(pk)

    def flush(self) -> None:
        assert self.board.flush().errors == ()
        self.exact.flush()
        self.unfinished = False
        stored = dict(Player.objects.nocache().values_list("pk", self.board.field))
        assert stored == self.exact.rows, self.history[-12:]

    def die_in_a_flush(self) -> None:
        step = self.random.choice(["sealed", "read", "applied", "committed", "acked"])
        left = self.random.randint(1, 2)

        def die(told: hooks.Flushing) -> None:
            nonlocal left
            if told.buffer == self.board.name and told.step == step:
                left -= 1
                if not left:
                    raise OperationalError("died")

        with hooks.listening(after_flush_step=die):
            self.board.flush()
        self.unfinished = True

    def save(self) -> None:
        player = Player.objects.nocache().get(pk=self.pk())
        score = self.number()
        setattr(player, self.board.field, score)
        player.save()
        self.exact.rows[player.pk] = score

    def delete(self) -> None:
        if len(self.exact.rows) > 3:
            pk = self.pk()
            Player.objects.get(pk=pk).delete()
            del self.exact.rows[pk]
            self.exact.waiting.pop(pk, None)

    def rebuild(self) -> None:
        self.board.rebuild()

    def refresh(self) -> None:
        self.board.refresh(list(self.exact.rows))

    def reset(self) -> None:
        self.board.reset()
        self.exact.waiting.clear()
        self.exact.rows = dict.fromkeys(self.exact.rows, self.exact.removed)

    def lose_board(self) -> None:
        lose(self.board, self.client)

    def lose_everything(self) -> None:
        self.board.server().forget(self.board.keys())
        self.exact.waiting.clear()
        self.exact.off.clear()

    def away(self) -> None:
        pk, number = self.pk(), self.number()
        with outage():
            self.board.increment(pk, number)
        # That who was removed has been counted for, only another score can tell the server later.
        self.exact.rows[pk] = (self.exact.rows[pk] or 0) + number
        self.flush()


STEPS_AND_WEIGHTS = (
    *(("increment", 6), ("submit", 6), ("many", 3), ("remove", 2), ("flush", 3), ("save", 3)),
    *(("die_in_a_flush", 3), ("create", 1), ("delete", 1), ("rebuild", 1), ("refresh", 1)),
    *(("lose_board", 2), ("lose_everything", 1), ("reset", 1), ("away", 1)),
)
