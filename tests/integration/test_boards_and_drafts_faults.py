"""Faults that were found in leaderboards and drafts, each of them held by a test."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import redis
from django.core.management import call_command
from django.db import connection, connections, transaction

from django_cachepatterns.conf import as_tenant
from django_cachepatterns.exceptions import StoreUnavailable
from django_cachepatterns.testing import outage
from django_cachepatterns.write_behind import Draft, Leaderboard, around, registry
from django_cachepatterns.write_behind.boards import rebuilding, unseen
from django_cachepatterns.write_behind.records import DeadLetter
from tests.integration.boards import by_sql, lose
from tests.testapp.models import Cart, Champion, Listing, Page, Player, Shelf, fastest, players

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

LONG = 20


@pytest.fixture
def cart() -> Iterator[Draft]:
    made = Draft(Cart, fields=["items", "total"])
    yield made
    registry.unregister(made)


@pytest.fixture
def whole() -> Iterator[Draft]:
    made = Draft(Cart, name="whole carts")
    yield made
    registry.unregister(made)


@pytest.fixture
def listing() -> Iterator[Draft]:
    made = Draft(Listing, fields=["shelf"])
    yield made
    registry.unregister(made)


def in_database(pk: int) -> Decimal:
    found: Decimal = Cart.objects.nocache().values_list("total", flat=True).get(pk=pk)
    return found


def test_loaddata_of_derived_rows_is_followed(tmp_path: Path) -> None:
    """The derived part of a row is loaded without the key that its parent's part has."""
    players.top(1)
    rows = [
        {"model": "testapp.player", "pk": 5, "fields": {"score": 3}},
        {"model": "testapp.champion", "pk": 5, "fields": {"titles": 1}},
    ]
    path = tmp_path / "champions.json"
    path.write_text(json.dumps(rows))
    call_command("loaddata", str(path), verbosity=0)
    assert players.top(9) == by_sql(players)
    assert players.rank(5) == 1
    Champion.objects.get().delete()
    assert players.size() == 0


def test_a_lost_board_is_built_once_for_all_who_read_it(
    redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    Player.objects.create(score=3)
    players.top(1)
    lose(players, redis_client)
    builds: list[bool] = []
    original = rebuilding._claimed

    def claimed(server: Any, keys: Any) -> Any:
        if not builds:  # Between being asked for and being claimed, another builds it.
            builds.append(True)
            players.rebuild()
        return original(server, keys)

    built = rebuilding._built
    monkeypatch.setattr(rebuilding, "_claimed", claimed)
    monkeypatch.setattr(
        rebuilding, "_built", lambda *given: (builds.append(True), built(*given))[1]
    )
    assert players.top(1) == by_sql(players)
    assert len(builds) == 2  # The note above, and the one rebuild.


def test_a_reset_whose_claim_has_lapsed_takes_nothing_away(
    redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch, elsewhere: Callable[..., Any]
) -> None:
    """Else what was counted and flushed meanwhile would be lost."""
    pk = Player.objects.create(best_time=3).pk
    fastest.increment(pk, 1)
    note = unseen.note

    def slowly(board: Leaderboard) -> str:
        redis_client.delete(board.keys().claim)
        fastest.increment(pk, 10)
        return note(board)

    with monkeypatch.context() as patched:
        patched.setattr(unseen, "note", slowly)
        with pytest.raises(StoreUnavailable, match="was not reset: the claim was lost"):
            fastest.reset()
    elsewhere(fastest.flush)
    assert fastest.top(9) == by_sql(fastest)
    assert fastest.score(pk) == 14
    fastest.reset()
    assert fastest.score(pk) is None


@pytest.mark.parametrize("away", [False, True])
def test_places_that_are_none_are_refused(away: bool) -> None:
    pk = Player.objects.create(score=3).pk
    with outage() if away else transaction.atomic():
        for call, message in (
            (lambda: players.top(3, offset=-1), "offset is -1; it must be at least 0"),
            (lambda: players.top(-1), "n is -1; it must be at least 0"),
            (lambda: players.around(pk, -1), "n is -1; it must be at least 0"),
            (lambda: players.top(10**30), "at most 2"),
        ):
            with pytest.raises(ValueError, match=message):
                call()
        with pytest.raises(TypeError, match="n is '3', a str; give an int"):
            players.top("3")  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"n is 2\.5, a float"):
            players.around(pk, 2.5)  # type: ignore[arg-type]


def test_what_a_transaction_saves_after_it_has_discarded_stays(cart: Draft) -> None:
    row, other = Cart.objects.create(), Cart.objects.create()
    cart.save_many({row.pk: {"items": {"old": 1}, "total": 1}, other.pk: {"total": 1}})
    with transaction.atomic():
        cart.discard(row.pk)
        cart.discard(other.pk)
        cart.save(row.pk, total=5)
    assert cart.get(row.pk) == {"items": {}, "total": 5}
    assert cart.get(other.pk) == {"items": {}, "total": 0}
    cart.flush()
    assert in_database(row.pk) == 5
    assert in_database(other.pk) == 0


def test_an_older_write_around_the_buffer_does_not_hide_a_newer_one(
    cart: Draft, elsewhere: Callable[..., Any]
) -> None:
    row = Cart.objects.create()
    with transaction.atomic():
        cart.save_many({row.pk: {"total": 1}}, on_commit=True)
        elsewhere(cart.save, row.pk, {"total": 2})
        away = outage()
        away.__enter__()
        elsewhere(cart.save, row.pk, {"total": 3})
    away.__exit__(None, None, None)
    assert cart.get(row.pk) == {"items": {}, "total": 3}
    cart.flush()
    assert in_database(row.pk) == 3


def test_a_discard_and_a_flush_do_not_wait_for_each_other(
    whole: Draft, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both lock the dead letters of a row, and the row's place among what goes around."""
    whole.save(7, total=-1)
    assert whole.flush().refused == 1
    whole.save(7, total=4)
    recorded, go = threading.Event(), threading.Event()
    record = around.record

    def slowly(*given: Any) -> None:
        record(*given)
        recorded.set()
        assert go.wait(LONG)

    monkeypatch.setattr(around, "record", slowly)
    outcome: list[Any] = []

    def in_thread(act: Callable[[], Any]) -> threading.Thread:
        def run() -> None:
            try:
                outcome.append(act())
            finally:
                connections.close_all()

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    discard = in_thread(lambda: whole.discard(7))
    assert recorded.wait(LONG)
    flush = in_thread(lambda: whole.flush().errors)
    with connection.cursor() as cursor:
        while True:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            if cursor.fetchone()[0]:
                break
            time.sleep(0.01)
    go.set()
    discard.join(LONG)
    flush.join(LONG)
    assert outcome in ([None, ()], [(), None])
    assert not DeadLetter.objects.exists()
    assert not Cart.objects.exists()


def test_a_foreign_key_takes_rows_of_its_own_model_alone(listing: Draft) -> None:
    row = Listing.objects.create(slug="a")
    with pytest.raises(ValueError, match=r"Listing\.shelf cannot be .*refers to a testapp\.Shelf"):
        listing.save(row.pk, shelf=Cart(pk=1))
    with pytest.raises(ValueError, match=r"Listing\.shelf cannot be .*not saved yet"):
        listing.save(row.pk, shelf=Shelf())
    assert listing.get(row.pk) == {"shelf_id": None}
    shelf = Shelf.objects.create()
    listing.save(row.pk, shelf=shelf)
    assert listing.get(row.pk) == {"shelf_id": shelf.pk}


@pytest.mark.parametrize("value", ["1e7", "-1e20", Decimal("9999999.995")])
def test_a_decimal_with_too_many_digits_is_refused(cart: Draft, value: Any) -> None:
    with pytest.raises(ValueError, match=r"Cart\.total cannot be .*9 digits, 2 of them after"):
        cart.save(1, total=value)
    cart.save(1, total="9999999.994")
    assert cart.get(1).total == Decimal("9999999.99")  # type: ignore[union-attr]


def test_what_waits_for_a_commit_is_of_the_tenant_that_has_saved_it(
    cart: Draft, settings: Any
) -> None:
    settings.CACHEPATTERNS = {**settings.CACHEPATTERNS, "TENANT": lambda: None}
    row = Cart.objects.create()
    with transaction.atomic():  # noqa: SIM117 - the commit is outside of the tenant's block
        with as_tenant("acme"):
            cart.save_many({row.pk: {"total": 4}}, on_commit=True)
            Page.view_counter.increment(7, on_commit=True)
    assert cart.pending() == Page.view_counter.pending() == 0
    with as_tenant("acme"):
        assert cart.pending() == Page.view_counter.pending() == 1
        assert cart.get(row.pk) == {"items": {}, "total": 4}
    with transaction.atomic():  # noqa: SIM117
        with as_tenant("acme"):
            cart.discard(row.pk)
    with as_tenant("acme"):
        assert cart.pending() == 0
