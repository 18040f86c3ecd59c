"""Write-behind in portable SQL: the same on SQLite, in a file of its own.

To see it on another database, put an entry of DATABASES into PORTABLE_DATABASE, as JSON; the
database must be there, and be empty.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
from django.db import connections
from django.test import override_settings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from django_cachepatterns import hooks
from django_cachepatterns.testing import outage
from django_cachepatterns.write_behind import Draft, dead_letters, ledger, registry
from django_cachepatterns.write_behind.dead_letters import Outcome
from django_cachepatterns.write_behind.records import DeadLetter, DirectWrite, LedgerEntry
from tests.integration.board_runs import Run
from tests.integration.boards import by_sql, made
from tests.integration.exact import exactly
from tests.integration.test_columns import VALUES as ALL_VALUES
from tests.testapp.models import (
    Cart,
    Champion,
    Listing,
    Page,
    Player,
    Portable,
    Shelf,
    Track,
    Visit,
    Word,
    tracks,
    words,
)

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other", "portable"])

MODELS = (
    *(Shelf, Page, Visit, Cart, Listing, Portable, Player, Champion, Word, Track),
    *(LedgerEntry, DeadLetter, DirectWrite),
)
VALUES = {
    **{name: values for name, values in ALL_VALUES.items() if hasattr(Portable, name)},
    "decimal": st.none() | st.decimals(-(10**8), 10**8, allow_nan=False, places=3),
    "floating": st.none() | st.floats(-1e9, 1e9).map(lambda number: round(number, 3) + 0.0),
    "uuid": st.none() | st.uuids(version=4),
    "duration": st.none() | st.timedeltas(dt.timedelta(days=-(10**4)), dt.timedelta(days=10**4)),
}


class Router:
    """Everything is in the portable database."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "portable"

    db_for_write = db_for_read

    def allow_relation(self, one: Any, other: Any, **hints: Any) -> bool:
        return True

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        return db != "portable" or app_label in ("testapp", "django_cachepatterns")


@pytest.fixture(scope="module", autouse=True)
def _portable(
    tmp_path_factory: Any, django_db_setup: None, django_db_blocker: Any
) -> Iterator[None]:
    """A database of this module's own, which is known before its tests say that they use it."""
    given = json.loads(os.environ.get("PORTABLE_DATABASE", "{}")) or {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(tmp_path_factory.mktemp("sqlite") / "database.sqlite3"),
        "OPTIONS": {"timeout": 20},
    }
    connections.databases["portable"] = {**connections.databases["default"], **given}
    connection = connections["portable"]
    with override_settings(DATABASE_ROUTERS=[Router()]):
        with django_db_blocker.unblock(), connection.schema_editor() as editor:
            for model in MODELS:
                editor.create_model(model)
        yield
    with django_db_blocker.unblock(), connection.schema_editor() as editor:
        for model in reversed(MODELS):
            editor.delete_model(model)
    connection.close()
    del connections["portable"], connections.databases["portable"]


@pytest.fixture
def database() -> Any:
    return connections["portable"]


@pytest.fixture
def cart() -> Iterator[Draft]:
    draft = Draft(Cart)
    yield draft
    registry.unregister(draft)


def test_the_database_is_not_postgresql(database: Any) -> None:
    assert database.vendor != "postgresql"
    assert Page.view_counter.alias == "portable"


def test_who_has_not_migrated_is_told_to(database: Any) -> None:
    page, table = Page.objects.create(), LedgerEntry._meta.db_table
    page.view_counter.increment()
    with database.schema_editor() as editor:
        editor.alter_db_table(LedgerEntry, table, "elsewhere")
    try:
        ((_, reason),) = Page.view_counter.flush().errors
    finally:
        with database.schema_editor() as editor:
            editor.alter_db_table(LedgerEntry, "elsewhere", table)
    assert "run migrate" in reason
    assert Page.view_counter.flush().rows == 1


def test_counts_reach_the_rows_once() -> None:
    pages = [Page.objects.create(title=str(n), likes=None) for n in range(3)]
    for page in pages:
        assert Page.objects.get(pk=page.pk).views == 0
    Page.view_counter.increment_many({page.pk: n for n, page in enumerate(pages)})
    Page.view_counter.increment(pages[0].pk + 1000)
    pages[2].like_counter.increment(by=3)
    assert Page.view_counter.values([page.pk for page in pages]) == {
        page.pk: n for n, page in enumerate(pages)
    }
    done = Page.view_counter.flush()
    assert (done.batches, done.rows, done.dropped, done.errors) == (1, 3, 1, ())
    assert Page.like_counter.flush().rows == 1
    assert Page.view_counter.flush().batches == 0
    assert [Page.objects.get(pk=page.pk).views for page in pages] == [0, 1, 2]
    assert pages[2].like_counter.value == 3
    assert LedgerEntry.objects.count() == 2


def test_keys_that_are_no_integers() -> None:
    visit = Visit.objects.create()
    visit.hit_counter.increment()
    assert visit.hit_counter.value == 1
    Visit.hit_counter.flush()
    visit.refresh_from_db()
    assert visit.hits == visit.hit_counter.value == 1


def test_a_batch_is_recorded_once(database: Any) -> None:
    batch = "0" * 32
    assert ledger.record(database, batch, "a", 1)
    assert not ledger.record(database, batch, "a", 1)
    assert ledger.applied("portable", [batch, "1" * 32]) == {batch}


@pytest.mark.parametrize("at", ["recorded", "applied", "committed"])
def test_a_flusher_that_is_stopped_leaves_the_batch_to_the_next(at: str) -> None:
    page = Page.objects.create()
    page.view_counter.increment(by=2)

    def stop(step: hooks.Flushing) -> None:
        if step.step == at:
            raise KeyboardInterrupt

    with hooks.listening(after_flush_step=stop), pytest.raises(KeyboardInterrupt):
        Page.view_counter.flush()
    assert page.view_counter.value == 2
    Page.view_counter.flush()
    page.refresh_from_db()
    assert page.views == page.view_counter.value == 2


def test_one_refused_row_of_many_is_a_dead_letter(database: Any) -> None:
    pages = [Page.objects.create(likes=1) for _ in range(20)]
    Page.like_counter.increment_many({page.pk: 1 for page in pages})
    Page.like_counter.increment(pages[7].pk, -5)
    done = Page.like_counter.flush()
    assert (done.rows, done.refused, done.errors) == (19, 1, ())
    likes = dict(Page.objects.values_list("pk", "likes"))
    assert likes == {page.pk: 1 if page is pages[7] else 2 for page in pages}
    letter = DeadLetter.objects.get()
    assert (letter.member, letter.payload) == (str(pages[7].pk), "-4")
    assert dead_letters.retry(letter).outcome is Outcome.REFUSED
    Page.objects.filter(pk=pages[7].pk).update(likes=10)
    assert dead_letters.retry(letter).outcome is Outcome.WRITTEN
    assert pages[7].like_counter.value == 6


def test_drafts_are_merged_inserted_and_seen(cart: Draft) -> None:
    with pytest.raises(Cart.DoesNotExist):
        Cart.objects.get(pk=7)
    row = Cart.objects.create(owner="me")
    assert Cart.objects.get(pk=row.pk).items == {}
    cart.save(row.pk, items={"shoe": [1, None]})
    cart.save_many({row.pk: {"total": "9.90"}, 7: {"total": 1}})
    found = cart.get_many([row.pk, 7, 8])
    assert list(found) == [row.pk, 7]
    assert found[row.pk] == {
        "owner": "me",
        "items": {"shoe": [1, None]},
        "total": found[row.pk].total,
        "seen_at": None,
    }
    assert str(found[row.pk].total) == "9.90"
    done = cart.flush()
    assert (done.rows, done.dropped, done.errors) == (2, 0, ())
    assert cart.get_many([row.pk, 7, 8]) == found
    assert Cart.objects.get(pk=row.pk).items == {"shoe": [1, None]}
    assert Cart.objects.get(pk=7).owner == "nobody"


def test_lookups_and_lists_follow_a_draft() -> None:
    draft = Draft(Listing)
    shelf = Shelf.objects.create(name="s")
    row = Listing.objects.create(slug="old")

    def listed() -> list[str]:
        return [each.slug for each in Listing.objects.filter(shelf=shelf).cache()]

    with pytest.raises(Listing.DoesNotExist):
        Listing.objects.get(slug="new")
    assert listed() == []
    draft.save(row.pk, slug="new", shelf=shelf)
    assert draft.flush().rows == 1
    assert Listing.objects.get(slug="new").pk == row.pk
    assert listed() == ["new"]
    registry.unregister(draft)


def test_a_refused_draft_is_a_dead_letter_until_it_is_replaced(cart: Draft) -> None:
    rows = [Cart.objects.create() for _ in range(6)]
    cart.save_many({row.pk: {"total": 1} for row in rows})
    cart.save(rows[3].pk, total=-1, items={"a": 1})
    done = cart.flush()
    assert (done.rows, done.refused, done.errors) == (5, 1, ())
    letter = DeadLetter.objects.get()
    assert dead_letters.retry(letter).outcome is Outcome.REFUSED
    cart.save(rows[3].pk, total=2)
    cart.flush()
    letter.refresh_from_db()
    assert dead_letters.retry(letter).outcome is Outcome.WRITTEN
    assert cart.get(rows[3].pk) == {
        "owner": "nobody",
        "items": {"a": 1},
        "total": 2,
        "seen_at": None,
    }


def test_what_waited_through_an_outage_undoes_nothing(cart: Draft) -> None:
    row, gone = Cart.objects.create(), Cart.objects.create()
    cart.save(row.pk, items={"old": 1}, total=5)
    cart.save(gone.pk, total=5)
    Page.view_counter.increment(Page.objects.create().pk)
    with outage():
        cart.save(row.pk, items={"new": 1})
        cart.discard(gone.pk)
        Page.view_counter.increment(Page.objects.get().pk, 2)
    Cart.objects.filter(pk=gone.pk).delete()
    expected = {"owner": "nobody", "items": {"new": 1}, "total": 5, "seen_at": None}
    assert cart.get(row.pk) == expected
    assert cart.get(gone.pk) is None
    cart.flush()
    assert cart.get(row.pk) == expected
    assert not Cart.objects.filter(pk=gone.pk).exists()
    Page.view_counter.flush()
    assert Page.objects.nocache().get().views == 3


def test_flushers_and_writers_at_once(cart: Draft) -> None:
    """SQLite has one writer at a time, which others wait for."""
    page = Page.objects.create()
    row = Cart.objects.create()
    ready = threading.Barrier(3)

    def closing(work: Callable[[], None]) -> None:
        ready.wait()
        try:
            work()
        finally:
            connections.close_all()

    def write() -> None:
        for n in range(20):
            page.view_counter.increment()
            cart.save(row.pk, items={"n": n})

    def flush() -> None:
        for _ in range(10):
            assert not Page.view_counter.flush().errors
            assert not cart.flush().errors

    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(closing, work) for work in (write, flush, flush)]:
            done.result(60)
    Page.view_counter.flush()
    cart.flush()
    page.refresh_from_db()
    row.refresh_from_db()
    assert page.views == 20
    assert row.items == {"n": 19}


@pytest.mark.parametrize("order", ["desc", "asc"])
def test_a_board_is_what_a_few_lines_say(order: str, redis_client: redis.Redis) -> None:
    options = {"rising": {"field": "score"}, "falling": {"field": "best_time", "order": "asc"}}
    name = "rising" if order == "desc" else "falling"
    with made(name, model=Player, batch_rows=3, **options[name]) as board:
        run = Run(board, redis_client, seed=7)
        for _ in range(100):
            run.step()
        run.flush()
        run.check()
        with outage():
            assert board.top(100) == by_sql(board)


def test_boards_of_other_keys() -> None:
    for text in ("é", "b", "B", "a b"):
        Word.objects.create(text=text, uses=3)
    tracked = [Track.objects.create(plays=4) for _ in range(5)]
    words.increment("b", 2)
    tracks.submit_many({tracked[0].pk: 9, tracked[1].pk: 1})
    expected = [(5, "b"), (3, "B"), (3, "a b"), (3, "é")]
    assert [(each.score, each.member) for each in words.top(9)] == expected
    assert tracks.rank(tracked[0]) == 1
    assert words.flush().rows == 1
    assert tracks.flush().rows == 2
    for board in (words, tracks):
        found = board.top(9)
        with outage():
            assert board.top(9) == found
            assert [board.rank(each.member) for each in found] == [each.rank for each in found]


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.fixed_dictionaries({}, optional=VALUES), st.booleans())
def test_a_value_reads_as_a_save_would_have_it(values: dict[str, Any], inserts: bool) -> None:
    draft = Draft(Portable)
    draft.server().forget(draft.keys())
    names = list(draft.columns())

    def stored(pk: int) -> Any:
        (row,) = Portable.objects.nocache().filter(pk=pk).values(*names)
        return exactly(row)

    saved = Portable.objects.create(**values)
    pk = saved.pk + 1_000_000 if inserts else Portable.objects.create().pk
    expected = stored(saved.pk)
    draft.save(pk, {"small": None, **values})
    found = draft.get(pk)
    assert found is not None
    assert exactly(dict(found)) == expected, "while it waits"
    assert draft.flush().rows == 1
    assert stored(pk) == expected, "when it was flushed"
    found = draft.get(pk)
    assert found is not None
    assert exactly(dict(found)) == expected, "read from the database"
    Portable.objects.all().delete()
    registry.unregister(draft)
