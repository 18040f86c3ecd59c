"""Leaderboards while others write: between any two steps of a look or a rebuild, and in threads."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis
from django.conf import LazySettings
from django.db import DatabaseError, OperationalError, connection, connections, transaction

from django_cachepatterns import hooks
from django_cachepatterns.models import DeadLetter
from django_cachepatterns.testing.wire import before_sending
from django_cachepatterns.write_behind import Leaderboard, Standing, dead_letters, flushing
from example_project.servers import Valkey
from tests.integration.boards import by_sql, lose, made
from tests.testapp.models import Player

pytestmark = pytest.mark.django_db(transaction=True)

Elsewhere = Callable[..., Any]

ROWS = 'FROM "testapp_player" WHERE "id" IN'
SNAPSHOT = '"best_time" IS NOT NULL'


@pytest.fixture
def races() -> Iterator[Leaderboard]:
    """A board whose batches are small."""
    options = {"field": "best_time", "order": "asc", "batch_rows": 3}
    with made("races", model=Player, **options) as board:
        yield board


@pytest.fixture
def refused() -> Iterator[Leaderboard]:
    """A board whose column is small."""
    with made("refused", model=Player, field="score") as board:
        yield board


@pytest.fixture
def narrow() -> Iterator[Leaderboard]:
    """A board for which little may wait."""
    options = {"field": "best_time", "order": "asc", "max_pending": 2}
    with made("narrow", model=Player, **options) as board:
        yield board


@pytest.fixture
def few() -> list[int]:
    """Players whose times are 0, 10, 20, 30, 40, and three that have none."""
    times = [0, 10, 20, 30, 40, None, None, None]
    return [Player.objects.create(best_time=time).pk for time in times]


@pytest.fixture(params=["lost", "there"])
def board(request: pytest.FixtureRequest, races: Leaderboard, few: list[int]) -> Leaderboard:
    """A board that has been lost, or that is still there."""
    if request.param == "there":
        assert races.size() == 5
    return races


@contextmanager
def in_between(
    marker: str,
    *,
    before: Callable[[], object] | None = None,
    after: Callable[[], object] | None = None,
) -> Iterator[None]:
    """Have something done right before or after the first statement of a kind."""
    left = 1

    def wrapper(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        nonlocal left
        mine = marker in sql and left > 0
        left -= mine
        if mine and before is not None:
            before()
        found = execute(sql, params, many, context)
        if mine and after is not None:
            after()
        return found

    with connection.execute_wrapper(wrapper):
        yield
    assert left == 0, "There was no such statement."


@contextmanager
def dying(step: str, times: int = 1) -> Iterator[None]:
    """Have a flush come to its end at a step, when it comes there for so many times."""
    left = times

    def die(told: hooks.Flushing) -> None:
        nonlocal left
        left -= told.step == step
        if left == 0:
            raise OperationalError("died")

    with hooks.listening(after_flush_step=die):
        yield


def save(pk: int, time: int | None) -> None:
    player = Player.objects.nocache().get(pk=pk)
    player.best_time = time
    player.save()


@pytest.mark.parametrize("moment", ["before", "after"])
def test_what_is_counted_during_a_rebuild_is_on_the_new_board(
    board: Leaderboard, few: list[int], moment: str, elsewhere: Elsewhere
) -> None:
    a, b, c, d, e, none, another, _ = few
    board.increment_many({a: 1, b: 1, none: 5})

    def count() -> None:
        board.increment_many({a: 100, b: 100, c: 100, d: -2, none: 7, another: 60})
        board.submit_many({a: 3, d: 1, e: 39})
        board.remove(b)
        board.increment(a, 1)
        assert board.flush().held == (board.name,)

    act: dict[str, Any] = {moment: lambda: elsewhere(count)}
    with in_between(SNAPSHOT, **act):
        board.rebuild()
    expected = [
        *(Standing(1, d, 1), Standing(2, a, 4), Standing(3, none, 12)),
        *(Standing(4, e, 39), Standing(5, another, 60), Standing(6, c, 120)),
    ]
    assert board.top(9) == expected
    board.flush()
    assert board.top(9) == by_sql(board) == expected


@pytest.mark.parametrize("moment", ["before", "after"])
def test_what_is_saved_during_a_rebuild_is_on_the_new_board(
    board: Leaderboard, few: list[int], moment: str, elsewhere: Elsewhere
) -> None:
    a, b, c, _, _, none, *_ = few
    board.increment(a, 1)

    def write() -> None:
        save(a, 500)
        save(b, None)
        save(none, 7)
        Player.objects.get(pk=c).delete()
        Player.objects.create(best_time=-1)

    act: dict[str, Any] = {moment: lambda: elsewhere(write)}
    with in_between(SNAPSHOT, **act):
        board.rebuild()
    assert board.score(a) == 501
    board.flush()
    assert board.top(9) == by_sql(board)
    assert board.size() == 5


def test_a_rebuild_whose_claim_has_lapsed_begins_anew(
    board: Leaderboard, few: list[int], elsewhere: Elsewhere, redis_client: redis.Redis
) -> None:
    a, b, *_ = few
    board.increment(a, 1)

    def flush() -> None:
        redis_client.delete(board.keys().claim)
        board.increment_many({a: 2, b: 2})
        with dying("committed", times=2):
            assert board.flush().errors

    with in_between(SNAPSHOT, before=lambda: elsewhere(flush)):
        board.rebuild()
    assert (board.score(a), board.score(b)) == (3, 12)
    board.flush()
    assert board.top(9) == by_sql(board)


def test_readers_wait_for_a_rebuild_or_ask_the_database(
    races: Leaderboard, few: list[int], elsewhere: Elsewhere
) -> None:
    with in_between(SNAPSHOT, after=lambda: answers.append(elsewhere(races.top, 9))):
        answers: list[Any] = []
        assert races.top(9) == by_sql(races)
    assert answers == [by_sql(races)]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_look_is_not_led_astray_by_a_flush(
    races: Leaderboard, few: list[int], moment: str, elsewhere: Elsewhere
) -> None:
    a, b, *_ = few
    assert races.size() == 5
    races.increment(a, 5)

    def flush() -> None:
        for _ in range(2):
            races.increment_many({a: 1, b: 1})
            with dying("acked"):  # So it looks at nobody itself.
                races.flush()
        races.increment(a, 1)

    act: dict[str, Any] = {moment: lambda: elsewhere(flush)}
    with in_between(ROWS, **act):
        races.refresh([a, b])
    assert (races.score(a), races.score(b)) == (8, 12)
    races.flush()
    assert races.top(9) == by_sql(races)


def test_a_look_knows_batches_that_are_applied_and_still_in_the_queue(
    races: Leaderboard, few: list[int]
) -> None:
    a, b, c, d, *_ = few
    assert races.size() == 5
    races.increment_many({a: 5, b: 5, c: 5})
    races.increment_many({a: 1, d: 1})
    with dying("committed", times=2):
        assert races.flush().errors
    races.refresh(few)
    assert [races.score(pk) for pk in (a, b, c, d)] == [6, 15, 25, 31]
    races.rebuild()
    assert [races.score(pk) for pk in (a, b, c, d)] == [6, 15, 25, 31]
    races.flush()
    assert races.top(9) == by_sql(races)


def test_who_looks_later_knows_more(
    races: Leaderboard, few: list[int], elsewhere: Elsewhere
) -> None:
    a = few[0]
    assert races.size() == 5
    save(a, 5)
    with in_between(ROWS, after=lambda: elsewhere(save, a, 9)):
        races.refresh([a])
    assert races.score(a) == 9


def test_who_looked_during_a_rebuild_does_not_undo_it(
    races: Leaderboard, few: list[int], elsewhere: Elsewhere
) -> None:
    a = few[0]
    assert races.size() == 5
    has_read, go_on = threading.Event(), threading.Event()

    def look() -> None:
        def wait() -> None:
            has_read.set()
            assert go_on.wait(20)

        try:
            with in_between(ROWS, after=wait):
                races.refresh([a])
        finally:
            connections.close_all()

    def let_it_go_on(packed: bytes) -> None:
        # The new board is there, and what has to be looked at is asked for.
        if b"HRANDFIELD" in packed and not go_on.is_set():
            go_on.set()
            looking.join(20)

    def write() -> None:
        looking.start()
        assert has_read.wait(20)
        Player.objects.filter(pk=a).update(best_time=-9)  # It sends no signals.

    looking = threading.Thread(target=look)
    with before_sending(let_it_go_on), in_between(SNAPSHOT, before=lambda: elsewhere(write)):
        races.rebuild()
    assert go_on.is_set()
    assert races.score(a) == -9


def test_a_flusher_that_was_stopped_does_not_undo_a_reset(
    races: Leaderboard, few: list[int], elsewhere: Elsewhere, redis_client: redis.Redis
) -> None:
    a, b, *_ = few
    races.increment_many({a: 5, b: 5})

    def reset() -> None:
        redis_client.delete(races.keys().claim)  # It has lapsed.
        races.reset()
        races.increment(b, 2)

    def stop(told: hooks.Flushing) -> None:
        if told.step == "read" and not done:
            done.append(True)
            elsewhere(reset)

    done: list[bool] = []
    with hooks.listening(after_flush_step=stop):
        races.flush()
    assert races.top(9) == [Standing(1, b, 2)]
    races.flush()
    assert races.top(9) == by_sql(races) == [Standing(1, b, 2)]


def test_rows_that_vanish_are_taken_off_by_the_flush_that_follows_a_killed_one(
    races: Leaderboard,
    few: list[int],
) -> None:
    a, b, *_ = few
    assert races.size() == 5
    races.increment_many({a: 1, b: 1})
    Player.objects.filter(pk=a)._raw_delete("default")  # It sends no signals.
    with dying("committed"):
        assert races.flush().errors
    assert races.rank(a) == 1
    assert races.flush().errors == ()
    assert races.rank(a) is None
    assert races.top(9) == by_sql(races)


def test_a_look_that_came_to_nothing_is_made_up_for_by_a_flush(
    races: Leaderboard, few: list[int]
) -> None:
    none = few[-1]
    assert races.size() == 5

    def fail(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        raise DatabaseError("away")

    with connection.execute_wrapper(fail):
        races.increment(none, 3)
    assert races.rank(none) is None
    races.flush()
    assert races.score(none) == 3


def test_a_refused_change_is_taken_back_until_it_is_retried(
    refused: Leaderboard, few: list[int]
) -> None:
    board = refused
    a, b, *_ = few
    assert board.size() == len(few)
    board.increment_many({a: 2**40, b: 3})
    assert board.score(a) == 2**40
    done = board.flush()
    assert (done.rows, done.refused) == (1, 1)
    assert board.score(a) == 0
    assert board.top(9) == by_sql(board)
    letter = DeadLetter.objects.get(buffer="refused")
    assert letter.payload == str(2**40)
    letter.payload = "4:6:7"
    letter.save()
    dead_letters.retry(letter)
    assert board.score(a) == 6
    assert board.top(9) == by_sql(board)


def test_what_a_full_buffer_lets_through_is_on_the_board(
    narrow: Leaderboard, few: list[int]
) -> None:
    board = narrow
    a, b, c, *_, none = few
    assert board.size() == 5
    board.increment_many({a: 1, b: 1})
    board.increment_many({c: 1, none: 1})
    with transaction.atomic():
        board.submit(c, -5)
        assert board.score(c) == 21
    assert (board.score(c), board.score(none), board.pending()) == (-5, 1, 2)
    board.flush()
    assert board.top(9) == by_sql(board)


def test_a_flusher_whose_claim_has_lapsed_stops(
    races: Leaderboard, few: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flushing, "CLAIM_TTL", 1)
    races.increment(few[0], 1)

    def stall(told: hooks.Flushing) -> None:
        if told.step == "read":
            while not races.server().claim(races.keys(), b"another", 60_000):
                pass

    with hooks.listening(after_flush_step=stall):
        done = races.flush()
    assert (done.held, done.batches) == ((races.name,), 0)
    assert races.pending() == 1


def test_a_server_that_comes_back_with_old_data_has_no_board(
    races: Leaderboard, few: list[int], own_valkey: Valkey, settings: LazySettings
) -> None:
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": own_valkey.url}}
    a, b, c, *_ = few
    with redis.Redis.from_url(own_valkey.url) as client:
        races.increment_many({a: 1, b: 1})
        assert races.size() == 5
        client.save()
    races.flush()
    races.increment_many({a: 50, c: 50})
    races.flush()
    own_valkey.kill()
    own_valkey.start()
    races.increment(b, 2)
    expected = sorted([(51, a), (13, b), (70, c), (30, few[3]), (40, few[4])])
    assert [(each.score, each.member) for each in races.top(9)] == expected
    races.flush()
    assert races.top(9) == by_sql(races)


def test_threads_that_count_flush_lose_and_rebuild(
    races: Leaderboard, redis_client: redis.Redis
) -> None:
    times = [None, 0, 0, 5, 5, 50, 50, 50, None, 7]
    pks = [Player.objects.create(best_time=time).pk for time in times]
    counted: list[dict[int, int]] = []
    over = threading.Event()
    failures: list[BaseException] = []

    def count(seed: int) -> None:
        own, mine = random.Random(seed), dict.fromkeys(pks, 0)
        counted.append(mine)
        for _ in range(150):
            pk, by = own.choice(pks), own.randint(-9, 9)
            races.increment(pk, by)
            mine[pk] += by
            if own.random() < 0.2:
                assert len(races.top(20)) <= len(pks)

    def until_over(act: Callable[[], object]) -> None:
        while not over.wait(0.003):
            act()

    def guarded(act: Callable[..., object], *arguments: Any) -> None:
        try:
            act(*arguments)
        except BaseException as error:
            failures.append(error)
        finally:
            connections.close_all()

    writers = [threading.Thread(target=guarded, args=(count, seed)) for seed in range(3)]
    others = [
        threading.Thread(target=guarded, args=(until_over, act))
        for act in (
            races.flush,
            lambda: lose(races, redis_client),
            lambda: races.refresh(pks[:4]),
        )
    ]
    for thread in (*writers, *others):
        thread.start()
    for thread in writers:
        thread.join(60)
    over.set()
    for thread in others:
        thread.join(60)
    assert failures == []
    before = races.top(20)
    while races.flush().batches:
        pass
    expected = {
        pk: (time or 0) + sum(each[pk] for each in counted)
        for pk, time in zip(pks, times, strict=True)
    }
    assert races.top(20) == before == by_sql(races)
    assert {each.member: each.score for each in before} == expected
