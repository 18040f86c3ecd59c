"""Leaderboards: counted on the server, ranked as SQL ranks, and flushed to the database."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from django_cachepatterns.exceptions import PolicyError, StoreUnavailable
from django_cachepatterns.stores.buffers import Limits
from django_cachepatterns.testing import assert_store_commands, outage
from django_cachepatterns.write_behind import Standing
from tests.integration.boards import by_sql, made
from tests.testapp.models import (
    Champion,
    Climber,
    Page,
    Player,
    Track,
    Word,
    fastest,
    players,
    tracks,
    words,
)

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


@pytest.fixture
def five() -> list[Player]:
    """Players with scores 50, 40, 40, 10 and 0; the first two have a time."""
    scores = (50, 40, 40, 10, 0)
    times = (900, 800, None, None, None)
    return [
        Player.objects.create(score=score, best_time=time)
        for score, time in zip(scores, times, strict=True)
    ]


def in_database(player: Player) -> int:
    return Player.objects.nocache().values_list("score", flat=True).get(pk=player.pk)


def pks(rows: list[Any]) -> list[Any]:
    return [row.pk for row in rows]


def test_a_board_is_read_from_the_database_first(five: list[Player]) -> None:
    a, b, c, d, e = pks(five)
    assert players.top(3) == [Standing(1, a, 50), Standing(2, b, 40), Standing(3, c, 40)]
    assert players.top(10, offset=3) == [Standing(4, d, 10), Standing(5, e, 0)]
    assert players.top(10, offset=5) == players.top(10, offset=50) == players.top(0) == []
    assert [players.rank(pk) for pk in (a, b, c, d, e, e + 1)] == [1, 2, 3, 4, 5, None]
    assert players.score(b) == 40
    assert players.score(e + 1) is None
    assert players.size() == 5
    assert players.around(c, 1) == players.top(3, offset=1)
    assert players.around(a, 1) == players.top(2)
    assert players.around(e, 9) == players.top(9)
    assert players.around(e + 1, 9) == []


def test_counting_is_seen_at_once_and_flushed_once(five: list[Player]) -> None:
    a, b, c, d, e = pks(five)
    assert players.rank(c) == 3
    players.increment(c)
    players.increment_many({e: 7, d: -2})
    assert players.top(5) == [
        *(Standing(1, a, 50), Standing(2, c, 41), Standing(3, b, 40)),
        *(Standing(4, d, 8), Standing(5, e, 7)),
    ]
    assert in_database(five[2]) == 40
    assert players.pending() == 3
    done = players.flush()
    assert (done.batches, done.rows, done.dropped, done.errors) == (1, 3, 0, ())
    assert players.pending() == 0
    assert in_database(five[2]) == 41
    assert players.top(5) == by_sql(players)
    assert players.flush().rows == 0


def test_a_submitted_score_counts_if_it_is_better(five: list[Player]) -> None:
    a, b, *_ = pks(five)
    assert fastest.top(9) == [Standing(1, b, 800), Standing(2, a, 900)]
    fastest.submit(a, 700)
    fastest.submit(b, 850)
    players.submit(a, 40)
    players.submit(b, 60)
    assert fastest.top(9) == [Standing(1, a, 700), Standing(2, b, 800)]
    assert players.top(2) == [Standing(1, b, 60), Standing(2, a, 50)]
    fastest.flush()
    players.flush()
    assert fastest.top(9) == by_sql(fastest) == [Standing(1, a, 700), Standing(2, b, 800)]
    assert players.top(9) == by_sql(players)


@pytest.mark.parametrize("flushed", [False, True])
def test_increments_and_submits_keep_their_order(five: list[Player], flushed: bool) -> None:
    a = five[0].pk
    assert players.score(a) == 50
    players.submit(a, 60)
    if flushed:
        players.flush()
    players.increment(a, 5)
    players.submit(a, 64)
    players.increment(a, -10)
    players.submit(a, 57)
    assert players.score(a) == 57
    players.flush()
    assert in_database(five[0]) == 57
    assert players.score(a) == 57


def test_who_has_no_score_is_not_on_the_board(five: list[Player]) -> None:
    c, d = five[2].pk, five[3].pk
    assert fastest.rank(c) is None
    fastest.submit(c, 950)
    fastest.increment(d, 3)
    assert fastest.score(c) == 950
    assert fastest.rank(d) == 1
    assert fastest.size() == 4
    fastest.increment(c, 7)
    fastest.flush()
    assert fastest.top(9) == by_sql(fastest)
    five[2].refresh_from_db()
    assert five[2].best_time == 957


def test_who_is_counted_for_starts_with_the_score_of_the_row(five: list[Player]) -> None:
    assert players.size() == 5
    (late,) = Player.objects.bulk_create([Player(score=45)])  # It sends no signals.
    assert players.rank(late.pk) is None
    players.increment(late.pk, 1)
    assert players.top(2) == [Standing(1, five[0].pk, 50), Standing(2, late.pk, 46)]


def test_rows_that_are_made_saved_and_deleted_are_followed(five: list[Player]) -> None:
    a, b, *_ = five
    assert players.size() == 5
    new = Player.objects.create(score=99)
    assert players.rank(new.pk) == 1
    players.increment(a.pk, 4)
    a.score = 20
    a.save()
    assert players.score(a.pk) == 24
    b.delete()
    assert players.size() == 5
    players.flush()
    assert players.top(9) == by_sql(players)


def test_a_save_in_a_transaction_is_seen_when_it_commits(five: list[Player]) -> None:
    a, b, *_ = five
    assert players.rank(a.pk) == 1
    with transaction.atomic():
        a.score = 1
        a.save()
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            b.score = 1000
            b.save()
            1 / 0  # noqa: B018
        new = Player.objects.create(score=70)
        players.increment(new.pk, 5)
        assert players.top(1) == [Standing(1, a.pk, 50)]
    assert players.top(2) == [Standing(1, new.pk, 75), Standing(2, b.pk, 40)]
    assert players.score(a.pk) == 1
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        gone = Player.objects.create(score=500)
        players.increment(gone.pk, 5)
        1 / 0  # noqa: B018
    assert players.rank(new.pk) == 1
    players.flush()
    assert players.top(9) == by_sql(players)


def test_derived_rows_are_ranked_with_the_others(five: list[Player]) -> None:
    assert players.size() == 5
    champion = Champion.objects.create(score=77, titles=2)
    assert players.rank(champion.pk) == players.rank(champion) == 1
    champion.score = 45
    champion.save()
    assert players.rank(champion) == 2
    champion.delete()
    assert players.size() == 5


def test_a_flush_takes_deleted_rows_off(five: list[Player]) -> None:
    a, b, *_ = pks(five)
    assert players.size() == 5
    players.increment_many({a: 1, b: 1})
    Player.objects.filter(pk=b)._raw_delete("default")  # It sends no signals.
    assert players.rank(b) == 2
    done = players.flush()
    assert (done.rows, done.dropped) == (1, 1)
    assert players.rank(b) is None
    assert players.top(9) == by_sql(players)


def test_what_is_removed_is_gone_with_what_waits(five: list[Player]) -> None:
    a, b, *_ = pks(five)
    assert fastest.size() == 2
    fastest.increment(a, 5)
    fastest.remove(a)
    assert fastest.top(9) == [Standing(1, b, 800)]
    fastest.rebuild()
    assert fastest.top(9) == [Standing(1, b, 800)]
    fastest.flush()
    five[0].refresh_from_db()
    assert five[0].best_time is None
    fastest.submit(a, 1000)
    assert fastest.top(9) == [Standing(1, b, 800), Standing(2, a, 1000)]
    fastest.flush()
    assert fastest.top(9) == by_sql(fastest)


def test_what_is_removed_stays_off_where_the_column_cannot_be_null(five: list[Player]) -> None:
    a = five[0].pk
    assert players.size() == 5
    players.remove(a)
    assert players.rank(a) is None
    players.flush()
    assert in_database(five[0]) == 0
    players.rebuild()
    assert players.rank(a) is None
    Player.objects.get(pk=a).save()
    assert players.size() == 4
    players.increment(a, 3)
    assert players.score(a) == 3
    players.flush()
    assert players.top(9) == by_sql(players)


def test_a_reset_voids_what_waits_and_keeps_what_comes_after(five: list[Player]) -> None:
    a, b, *_ = pks(five)
    fastest.increment_many({a: 1, b: 2})
    fastest.reset()
    assert fastest.size() == 0
    assert fastest.top(9) == fastest.around(a, 2) == by_sql(fastest) == []
    fastest.submit(a, 30)
    assert fastest.top(9) == [Standing(1, a, 30)]
    assert fastest.flush().rows == 1
    assert fastest.top(9) == by_sql(fastest) == [Standing(1, a, 30)]
    assert Player.objects.get(pk=b).best_time is None


def test_a_reset_of_a_column_that_cannot_be_null_has_all_begin_anew(five: list[Player]) -> None:
    players.increment(five[1].pk, 9)
    players.reset()
    assert {each.score for each in players.top(9)} == {0}
    assert players.top(9) == by_sql(players)
    players.flush()
    assert players.top(9) == by_sql(players)
    assert Player.objects.get(pk=five[0].pk).score == 0


@pytest.mark.parametrize("act", [players.reset, players.flush])
def test_nothing_is_flushed_or_reset_inside_of_a_transaction(act: Any) -> None:
    with transaction.atomic(), pytest.raises(PolicyError, match="inside of a transaction"):
        act()


def test_a_transaction_that_has_written_does_not_rebuild(five: list[Player]) -> None:
    with transaction.atomic():
        Player.objects.create(score=1000)
        assert players.size() == 6  # From the database.
        with pytest.raises(PolicyError, match="cannot be rebuilt in this transaction"):
            players.rebuild()
        transaction.set_rollback(True)
    assert players.size() == 5


def test_writes_that_send_no_signals_are_seen_by_a_refresh_or_a_rebuild(
    five: list[Player],
) -> None:
    a, b, c, *_ = pks(five)
    assert players.rank(a) == 1
    Player.objects.filter(pk__in=[b, c]).update(score=90)
    players.refresh([b])
    assert players.top(1) == [Standing(1, b, 90)]
    assert players.score(c) == 40
    players.rebuild()
    assert players.top(9) == by_sql(players)


def test_texts_are_ranked_by_their_bytes() -> None:
    names = ["z", "Z", "é", "a b", "", "zz", "日本"]
    for name in names:
        Word.objects.create(text=name)
    words.increment_many(dict.fromkeys(names, 2))
    words.increment("z")
    words.flush()
    first, *rest = words.top(99)
    assert first == Standing(1, "z", 3)
    ranked = [each.member for each in rest]
    assert ranked == sorted(ranked, key=str.encode)
    assert words.top(99) == by_sql(words)
    with outage():
        assert words.top(99) == by_sql(words)
        with CaptureQueriesContext(connection) as queries:
            assert [words.rank(each.member) for each in words.top(99)] == list(range(1, 8))
        # Whatever the database's own order is; that of the tests is the same.
        assert any('"text" COLLATE "C" <' in each["sql"] for each in queries)
        assert any('"text" COLLATE "C" LIMIT' in each["sql"] for each in queries)


def test_keys_that_are_no_integers() -> None:
    rows = [Track.objects.create(id=uuid.UUID(int=n), plays=4) for n in (7, 2**127, 9)]
    tracks.increment(str(rows[1].pk), 0)
    assert [each.member for each in tracks.top(9)] == sorted(pks(rows))
    tracks.increment(rows[2])
    tracks.flush()
    assert tracks.rank(rows[2].pk) == 1
    assert tracks.top(9) == by_sql(tracks)


def test_negative_keys_and_scores() -> None:
    for pk, score in ((-5, -3), (-1, -3), (0, -3), (4, -7), (2**62, -3)):
        Player.objects.create(pk=pk, score=score)
    assert [each.member for each in players.top(9)] == [-5, -1, 0, 2**62, 4]
    assert players.top(9) == by_sql(players)
    players.submit(4, 0)
    players.increment(-1, 3)
    assert [each.member for each in players.top(2)] == [-1, 4]


def test_without_the_server_scores_go_to_the_database(five: list[Player]) -> None:
    a, b, c, *_ = pks(five)
    assert players.rank(a) == 1
    with outage():
        players.increment(c, 20)
        players.submit_many({a: 40, b: 55})
        expected = [Standing(1, c, 60), Standing(2, b, 55), Standing(3, a, 50)]
        assert players.top(3) == expected
        assert players.around(b, 1) == expected
        assert (players.rank(a), players.score(a), players.size()) == (3, 50, 5)
        Player.objects.filter(pk=b)[0].delete()
        with pytest.raises(StoreUnavailable, match="while the buffer server is away"):
            players.remove(a)
    players.flush()
    assert players.top(9) == by_sql(players)
    assert players.size() == 4


@pytest.mark.parametrize("pk", [None, "x", 2**63, -(2**63), Page()])
def test_a_key_that_no_row_has_is_refused(five: list[Player], pk: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        players.increment(pk)
    with pytest.raises((TypeError, ValueError)):
        players.rank(pk)
    with pytest.raises(ValueError, match="NUL"):
        words.increment("a\0b")


@pytest.mark.parametrize("full", [False, True])
def test_more_than_fits_into_one_call(five: list[Player], full: bool) -> None:
    new = Player.objects.bulk_create(Player(score=1) for _ in range(2500))
    amounts = {player.pk: 1 for player in new}
    with made("roomy", model=Player, field="score", strict=True) as board:
        assert board.size() == 2505
        if full:
            board.limits = Limits(b"10000", b"700")
        board.increment_many(amounts)
        for _ in range(2):
            board.increment_many(amounts, operation="once") if not full else None
        expected = {player.pk: 2 if full else 3 for player in new}
        assert {each.member: each.score for each in board.top(3000) if each.member in amounts} == (
            expected
        )
        board.flush()
        assert board.top(3000) == by_sql(board)


def test_what_is_counted_stays_where_a_transaction_is_rolled_back(five: list[Player]) -> None:
    b = five[1].pk
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        players.increment(b, 5)
        1 / 0  # noqa: B018
    assert players.score(b) == 45


@pytest.mark.parametrize("by_default", [True, False])
def test_on_commit_counts_only_if_the_transaction_commits(
    five: list[Player], by_default: bool
) -> None:
    a, b, c, d, e = pks(five)
    option: dict[str, Any] = {} if by_default else {"on_commit": True}
    with made("committed", model=Player, field="score", on_commit=by_default) as board:
        with transaction.atomic():
            board.increment(b, 5, **option)
            board.increment_many({c: 3}, **option)
            board.submit(d, 60, **option)
            board.submit_many({e: 1}, **option)
            assert board.pending() == 0
            assert board.score(b) == 40
        assert board.pending() == 4
        assert [board.score(pk) for pk in (a, b, c, d, e)] == [50, 45, 43, 60, 1]
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            board.increment(b, 5, **option)
            board.submit(e, 99, **option)
            1 / 0  # noqa: B018
        with transaction.atomic():
            with pytest.raises(TypeError, match="must be an int"):
                board.increment(b, 0.5, **option)  # type: ignore[arg-type]
            board.increment(b, 1, on_commit=False)
            assert board.pending() == 4
            assert board.score(b) == 46
        assert [board.score(pk) for pk in (b, e)] == [46, 1]
        board.flush()
        assert board.top(9) == by_sql(board)


def test_what_is_removed_has_the_default_of_the_database() -> None:
    first, second = Climber.objects.create(height=30), Climber.objects.create(height=20)
    with made("heights", model=Climber, field="height") as board:
        board.remove(first.pk)
        assert board.top(9) == [Standing(1, second.pk, 20)]
        board.flush()
        first.refresh_from_db()
        assert first.height == 10
        board.increment(first.pk, 5)
        assert board.score(first.pk) == 15
        board.reset()
        assert {each.score for each in board.top(9)} == {10}
        assert board.top(9) == by_sql(board)
    with made("depths", model=Climber, field="depth") as board:
        board.remove(first.pk)
        board.flush()
        assert Climber.objects.get(pk=first.pk).depth == 0


@async_to_sync
async def in_coroutines(a: int, b: int) -> None:
    await players.aincrement(b, 3)
    await players.aincrement_many({b: 3})
    await players.asubmit(b, 60)
    await players.asubmit_many({a: 1})
    assert await players.apending() == 2
    assert await players.atop(1) == [Standing(1, b, 60)]
    assert await players.aaround(b, 0) == [Standing(1, b, 60)]
    assert [await players.arank(a), await players.ascore(a), await players.asize()] == [2, 50, 5]
    await Player.objects.filter(pk=a).aupdate(score=70)
    await players.arefresh([a])
    assert await players.arank(a) == 1
    await Player.objects.filter(pk=a).aupdate(score=7)
    await players.arebuild()
    assert await players.arank(a) == 4
    await players.aremove(a)
    assert await players.arank(a) is None
    await players.areset()
    assert {each.score for each in await players.atop(9)} == {0}


def test_coroutines(five: list[Player]) -> None:
    in_coroutines(five[0].pk, five[1].pk)


@pytest.mark.parametrize("score", [1.5, "1", True, None])
def test_a_score_that_is_no_int_is_refused(five: list[Player], score: Any) -> None:
    with pytest.raises(TypeError, match="must be an int"):
        players.increment(five[0].pk, score)
    with pytest.raises(TypeError, match="must be an int"):
        players.submit(five[0].pk, score)


def test_scores_are_as_large_as_is_exact(five: list[Player]) -> None:
    with pytest.raises(ValueError, match=r"beyond 2\*\*53"):
        fastest.submit(five[0].pk, 2**53 + 1)
    pk = five[2].pk
    for number in (2**53, -(2**53), 2**53, 2**53 - 1):
        fastest.remove(pk)
        fastest.submit(pk, number)
        assert fastest.score(pk) == number
    fastest.flush()
    assert fastest.top(9) == by_sql(fastest)


def test_amounts_that_one_number_cannot_hold_are_two_batches(five: list[Player]) -> None:
    pk = five[0].pk
    fastest.increment(pk, 2**53 - 1)
    fastest.increment(pk, 2**53 - 1)
    fastest.increment(pk, -(2**53))
    assert len(fastest.backlog()) == 2
    fastest.flush()
    five[0].refresh_from_db()
    assert five[0].best_time == 900 + 2 * (2**53 - 1) - 2**53


def test_counting_and_ranking_are_one_command(
    five: list[Player], django_assert_num_queries: Any
) -> None:
    a = five[0].pk
    players.increment(a)
    players.rank(a)
    players.flush()
    with assert_store_commands(5), django_assert_num_queries(0):
        players.increment(a)
        players.submit_many(dict.fromkeys(pks(five), 3))
        players.rank(a)
        players.top(3)
        players.around(a, 2)


def test_a_rebuild_looks_once_at_rows_that_had_no_score(five: list[Player]) -> None:
    fastest.submit(five[3].pk, 5)
    with CaptureQueriesContext(connection) as queries:
        assert fastest.rank(five[3].pk) == 1
    assert sum('WHERE "id" IN' in each["sql"] for each in queries) == 1
