"""Drafts: saved in the buffer, seen at once, and written to the database, each value's last."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connection, transaction

from django_cachepatterns import hooks
from django_cachepatterns.exceptions import PolicyError
from django_cachepatterns.testing import assert_store_commands, outage
from django_cachepatterns.write_behind import Draft, dead_letters, pruning, registry
from django_cachepatterns.write_behind.records import DeadLetter, DirectWrite
from tests.testapp.models import Cart, Item, Listing, Shelf, TextRow, UuidRow

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

MakeDraft = Callable[..., Draft]


@pytest.fixture
def draft_of() -> Iterator[MakeDraft]:
    made: list[Draft] = []

    def make(*args: Any, **options: Any) -> Draft:
        made.append(Draft(*args, **options))
        return made[-1]

    yield make
    for draft in made:
        registry.unregister(draft)


@pytest.fixture
def cart(draft_of: MakeDraft) -> Draft:
    return draft_of(Cart, fields=["items", "total"])


@pytest.fixture
def whole(draft_of: MakeDraft) -> Draft:
    return draft_of("testapp.Cart", name="whole carts")


def in_database(pk: int) -> tuple[Any, Decimal]:
    found: tuple[Any, Decimal] = Cart.objects.nocache().values_list("items", "total").get(pk=pk)
    return found


def test_a_save_is_one_command_and_no_query(cart: Draft, django_assert_num_queries: Any) -> None:
    cart.save(1, items={})
    with assert_store_commands(1), django_assert_num_queries(0):
        cart.save(1, items={"shoe": 1}, total="9.90")


def test_what_waits_is_seen_at_once_and_written_once(cart: Draft) -> None:
    row = Cart.objects.create()
    cart.save(row.pk, items={"shoe": 1})
    cart.save(row.pk, items={"shoe": 2})
    assert cart.get(row.pk) == {"items": {"shoe": 2}, "total": 0}
    assert cart.pending() == 1
    assert in_database(row.pk) == ({}, 0)
    done = cart.flush()
    assert (done.batches, done.rows, done.dropped, done.refused) == (1, 1, 0, 0)
    assert in_database(row.pk) == ({"shoe": 2}, 0)
    assert cart.get(row.pk) == {"items": {"shoe": 2}, "total": 0}
    assert cart.pending() == 0
    assert cart.flush().batches == 0


def test_values_are_merged_by_field(cart: Draft) -> None:
    row = Cart.objects.create(items={"old": 1}, total=1)
    cart.save(row.pk, items={"shoe": 1})
    cart.save(row.pk, total=Decimal("3"))
    assert cart.get(row.pk) == {"items": {"shoe": 1}, "total": 3}
    assert cart.pending() == 1
    cart.flush()
    assert in_database(row.pk) == ({"shoe": 1}, 3)


def test_one_field_may_be_given_by_itself(draft_of: MakeDraft) -> None:
    assert draft_of(Cart, fields="items").fields == ("items",)


def test_a_draft_row_is_no_mapping(cart: Draft) -> None:
    row = Cart.objects.create(items={"a": 1})
    found = cart.get(row.pk)
    assert found is not None
    assert found.items == found["items"] == {"a": 1}
    assert dict(found) == {"items": {"a": 1}, "total": 0} == found
    assert found.pk == row.pk
    assert "items" in found
    assert "owner" not in found
    with pytest.raises(AttributeError, match="'owner' is not known"):
        assert found.owner
    assert cart.get(row) == found


def test_many_are_saved_and_read_in_one_command(
    cart: Draft, django_assert_num_queries: Any
) -> None:
    rows = [Cart.objects.create(total=n) for n in range(5)]
    cart.save_many({row.pk: {"items": {"n": row.pk}} for row in rows[:4]})
    with assert_store_commands(1), django_assert_num_queries(1):
        found = cart.get_many([row.pk for row in rows] + [0])
    assert list(found) == [row.pk for row in rows]
    assert [row.total for row in found.values()] == [0, 1, 2, 3, 4]
    assert found[rows[0].pk].items == {"n": rows[0].pk}
    assert found[rows[4].pk].items == {}


def test_a_row_that_is_nowhere_is_none(cart: Draft, whole: Draft) -> None:
    assert cart.get(7) is None
    cart.save(7, items={"a": 1})
    assert cart.get(7) == {"items": {"a": 1}}
    assert cart.flush().dropped == 1
    assert cart.get(7) is None
    assert not Cart.objects.filter(pk=7).exists()


def test_whole_rows_are_inserted_with_defaults(whole: Draft) -> None:
    with pytest.raises(Cart.DoesNotExist):
        Cart.objects.get(pk=7)
    whole.save(7, items={"a": 1}, seen_at="2026-01-02T03:04:05Z")
    expected = {"owner": "nobody", "items": {"a": 1}, "total": 0, "seen_at": "2026-01-02T03:04:05"}
    found = whole.get(7)
    assert found is not None
    assert {**dict(found), "seen_at": found.seen_at.isoformat()[:19]} == expected
    done = whole.flush()
    assert (done.rows, done.dropped) == (1, 0)
    row = Cart.objects.get(pk=7)
    assert (row.owner, row.items, row.seen_at.isoformat()[:19]) == (
        "nobody",
        {"a": 1},
        expected["seen_at"],
    )
    assert whole.get(7) == found
    assert not DirectWrite.objects.exists()


def test_a_flush_invalidates_the_rows(cart: Draft) -> None:
    row = Cart.objects.create()
    assert Cart.objects.get(pk=row.pk).items == {}
    cart.save(row.pk, items={"a": 1})
    cart.flush()
    assert Cart.objects.get(pk=row.pk).items == {"a": 1}


def test_lookups_and_lists_follow_what_is_flushed(draft_of: MakeDraft) -> None:
    draft = draft_of(Listing)
    left, right = Shelf.objects.create(name="l"), Shelf.objects.create(name="r")
    row = Listing.objects.create(slug="old", shelf=left)
    with pytest.raises(Listing.DoesNotExist):
        Listing.objects.get(slug="new")
    with pytest.raises(Listing.DoesNotExist):
        Listing.objects.get(shelf=right, rank=0)
    with pytest.raises(Listing.DoesNotExist):
        Listing.objects.get(slug="fresh")

    def listed(shelf: Shelf) -> list[str]:
        found = Listing.objects.filter(shelf=shelf).order_by("pk").cache()
        return [each.slug for each in found]

    assert (listed(left), listed(right)) == (["old"], [])
    draft.save(row.pk, slug="new", shelf=right)
    draft.save(row.pk + 1, slug="fresh", shelf_id=right.pk, rank=2)
    assert draft.get(row.pk) == {"slug": "new", "shelf_id": right.pk, "rank": 0}
    assert draft.flush().rows == 2
    assert Listing.objects.get(slug="new").pk == row.pk
    assert Listing.objects.get(shelf=right, rank=0).pk == row.pk
    assert Listing.objects.get(slug="fresh").pk == row.pk + 1
    assert (listed(left), listed(right)) == ([], ["new", "fresh"])
    with pytest.raises(Listing.DoesNotExist):
        Listing.objects.get(slug="old")


def test_keys_that_are_no_integers(draft_of: MakeDraft) -> None:
    draft = draft_of(UuidRow)
    row = UuidRow.objects.create()
    draft.save(str(row.pk), n=3)
    draft.save(row, n=4)
    assert draft.get(row.pk) == {"n": 4}
    draft.flush()
    row.refresh_from_db()
    assert row.n == 4


def test_on_commit_saves_only_if_the_transaction_commits(draft_of: MakeDraft) -> None:
    draft = draft_of(Cart, fields=["items"], on_commit=True)
    with transaction.atomic():
        draft.save(1, items={})
        assert draft.pending() == 0
    assert draft.pending() == 1
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        draft.save(2, items={})
        1 / 0  # noqa: B018
    assert draft.pending() == 1


def test_an_operation_is_carried_out_once(cart: Draft) -> None:
    row = Cart.objects.create()
    cart.save_many({row.pk: {"items": {"a": 1}}}, operation="x")
    cart.save(row.pk, items={"a": 2})
    cart.save_many({row.pk: {"items": {"a": 1}}}, operation="x")
    assert cart.get(row.pk) == {"items": {"a": 2}, "total": 0}


def test_without_the_server_values_go_to_the_database(cart: Draft) -> None:
    row = Cart.objects.create()
    with outage():
        cart.save(row.pk, items={"a": 1})
        assert in_database(row.pk) == ({"a": 1}, 0)
        assert cart.get(row.pk) == {"items": {"a": 1}, "total": 0}


def test_what_waited_through_an_outage_undoes_nothing(cart: Draft) -> None:
    row = Cart.objects.create()
    cart.save(row.pk, items={"old": 1}, total=5)
    with outage():
        cart.save(row.pk, items={"new": 1})
    assert cart.get(row.pk) == {"items": {"new": 1}, "total": 5}
    cart.flush()
    assert in_database(row.pk) == ({"new": 1}, 5)


def test_what_is_saved_after_an_outage_is_newer(cart: Draft) -> None:
    row = Cart.objects.create()
    cart.save(row.pk, items={"old": 1})
    with outage():
        cart.save(row.pk, items={"new": 1}, total=1)
    cart.save(row.pk, items={"newest": 1})
    assert cart.get(row.pk) == {"items": {"newest": 1}, "total": 1}
    cart.flush()
    assert in_database(row.pk) == ({"newest": 1}, 1)


def test_what_went_around_is_forgotten_with_the_ledger(cart: Draft, settings: Any) -> None:
    row = Cart.objects.create()
    with outage():
        cart.save(row.pk, items={"new": 1})
    pruning.prune()
    assert DirectWrite.objects.count() == 1
    settings.CACHEPATTERNS = {**settings.CACHEPATTERNS, "LEDGER_KEEP": 0}
    pruning.prune()
    assert not DirectWrite.objects.exists()


def test_coroutines(cart: Draft) -> None:
    row = Cart.objects.create()

    async def use() -> None:
        await cart.asave(row.pk, items={"a": 1})
        await cart.asave_many({row.pk: {"total": 2}})
        assert await cart.aget(row.pk) == {"items": {"a": 1}, "total": 2}
        assert await cart.apending() == 1
        await cart.adiscard(row.pk)
        assert list(await cart.aget_many([row.pk])) == [row.pk]

    async_to_sync(use)()
    assert cart.pending() == 0


def test_a_full_buffer_takes_what_it_has_already(draft_of: MakeDraft) -> None:
    draft = draft_of(Cart, fields=["items", "total"], max_pending=1)
    one, two = Cart.objects.create(), Cart.objects.create()
    draft.save(one.pk, items={"a": 1})
    draft.save(two.pk, items={"b": 1})
    draft.save(one.pk, items={"a": 2}, total=3)
    assert in_database(two.pk) == ({"b": 1}, 0)
    assert in_database(one.pk) == ({}, 0)
    draft.flush()
    assert in_database(one.pk) == ({"a": 2}, 3)


def test_batches_are_written_in_their_order(draft_of: MakeDraft) -> None:
    draft = draft_of(Cart, fields=["items", "total"], batch_rows=1)
    row = Cart.objects.create()
    for n in range(3):
        draft.save(row.pk, items={"n": n})
    draft.save(row.pk, total=7)
    assert len(draft.backlog()) == 4
    assert draft.get(row.pk) == {"items": {"n": 2}, "total": 7}
    assert draft.flush().batches == 4
    assert in_database(row.pk) == ({"n": 2}, 7)


def test_a_discarded_draft_is_not_written(whole: Draft) -> None:
    row = Cart.objects.create()
    whole.save_many({row.pk: {"total": 5}, row.pk + 1: {"total": 6}})
    whole.discard(row.pk)
    Cart.objects.filter(pk=row.pk).delete()
    assert whole.get(row.pk) is None
    assert whole.pending() == 1
    assert whole.flush().rows == 1
    assert list(Cart.objects.values_list("total", flat=True)) == [6]


def test_a_draft_is_discarded_only_if_the_transaction_commits(whole: Draft) -> None:
    row = Cart.objects.create()
    whole.save(row.pk, total=5)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        whole.discard(row.pk)
        1 / 0  # noqa: B018
    assert whole.pending() == 1
    with transaction.atomic():
        whole.discard(row.pk)
    assert whole.pending() == 0


def test_a_draft_is_discarded_without_the_server(whole: Draft) -> None:
    whole.save(7, total=5)
    with outage():
        whole.discard(7)
    assert whole.get(7) is None
    assert whole.flush().rows == 0
    assert not Cart.objects.exists()
    whole.save(7, total=6)
    whole.flush()
    assert Cart.objects.get(pk=7).total == 6


def test_a_discarded_batch_is_not_taken_for_an_evicted_one(
    whole: Draft, draft_of: MakeDraft, caplog: Any
) -> None:
    draft = draft_of(Cart, name="small", batch_rows=1)
    draft.save(1, total=1)
    draft.save(2, total=2)
    draft.discard(1)
    assert draft.flush().batches == 1
    assert not caplog.records


def step(name: str, action: Callable[[], Any]) -> Any:
    """Does something once, when a flush comes to a step."""
    done: list[Any] = []

    def hook(at: hooks.Flushing) -> None:
        if at.step == name and not done:
            done.append(True)
            action()

    return hooks.listening(after_flush_step=hook)


@pytest.mark.parametrize("at", ["read", "recorded"])
def test_a_discard_holds_against_a_flush_that_is_under_way(
    at: str, whole: Draft, elsewhere: Callable[..., Any]
) -> None:
    whole.save(7, total=5)
    with step(at, lambda: elsewhere(whole.discard, 7)):
        whole.flush()
    assert not Cart.objects.exists()


@pytest.mark.parametrize("at", ["read", "recorded"])
def test_a_write_around_holds_against_a_flush_that_is_under_way(
    at: str, cart: Draft, elsewhere: Callable[..., Any]
) -> None:
    row = Cart.objects.create()

    def around() -> None:
        with outage():
            cart.save(row.pk, items={"new": 1})

    cart.save(row.pk, items={"old": 1})
    with step(at, lambda: elsewhere(around)):
        cart.flush()
    assert in_database(row.pk) == ({"new": 1}, 0)


def test_a_row_that_another_inserts_meanwhile_is_updated(
    whole: Draft, elsewhere: Callable[..., Any]
) -> None:
    whole.save(7, total=5)
    with step("recorded", lambda: elsewhere(lambda: Cart.objects.create(pk=7, owner="me"))):
        assert whole.flush().rows == 1
    assert Cart.objects.values_list("owner", "total").get() == ("me", 5)


def test_a_refused_row_leaves_the_others_and_can_be_tried_again(cart: Draft) -> None:
    rows = [Cart.objects.create() for _ in range(5)]
    cart.save_many({row.pk: {"total": 1, "items": {"a": [1, None]}} for row in rows})
    cart.save(rows[2].pk, total=-1)
    done = cart.flush()
    assert (done.rows, done.refused) == (4, 1)
    letter = DeadLetter.objects.get()
    assert letter.member == str(rows[2].pk)
    assert '"$decimal": "-1"' in letter.payload
    assert '{"a": [1, null]}' in letter.payload
    assert "no_cart_owes" in letter.reason
    assert dead_letters.retry(letter).outcome is dead_letters.Outcome.REFUSED
    letter.refresh_from_db()
    with without_check():
        assert dead_letters.retry(letter).outcome is dead_letters.Outcome.WRITTEN
        assert in_database(rows[2].pk) == ({"a": [1, None]}, -1)
        Cart.objects.update(total=0)
    assert not DeadLetter.objects.exists()


class without_check:
    """The table takes anything for the length of a block."""

    def __enter__(self) -> None:
        with connection.schema_editor() as editor:
            editor.remove_constraint(Cart, Cart._meta.constraints[0])

    def __exit__(self, *args: object) -> None:
        with connection.schema_editor() as editor:
            editor.add_constraint(Cart, Cart._meta.constraints[0])


def refused(cart: Draft) -> tuple[int, DeadLetter]:
    row = Cart.objects.create()
    cart.save(row.pk, total=-1, items={"old": 1})
    assert cart.flush().refused == 1
    return row.pk, DeadLetter.objects.get()


def test_a_dead_letter_holds_only_what_nothing_newer_has_replaced(cart: Draft) -> None:
    pk, _ = refused(cart)
    cart.save(pk, items={"new": 1})
    cart.flush()
    letter = DeadLetter.objects.get()
    assert "items" not in letter.payload
    assert "total" in letter.payload
    with without_check():
        dead_letters.retry(letter)
        assert in_database(pk) == ({"new": 1}, -1)
        Cart.objects.update(total=0)


@pytest.mark.parametrize("away", [False, True])
def test_a_dead_letter_goes_when_all_of_it_is_replaced(cart: Draft, away: bool) -> None:
    pk, letter = refused(cart)
    if away:
        with outage():
            cart.save(pk, items={"new": 1}, total=2)
    else:
        cart.save(pk, items={"new": 1}, total=2)
        cart.flush()
    assert not DeadLetter.objects.exists()
    assert dead_letters.retry(letter).outcome is dead_letters.Outcome.GONE
    assert in_database(pk) == ({"new": 1}, 2)


def test_a_newer_refusal_replaces_an_older_one(cart: Draft) -> None:
    pk, old = refused(cart)
    cart.save(pk, total=-2)
    cart.flush()
    older, newer = DeadLetter.objects.order_by("pk")
    assert "total" not in older.payload
    assert '"-2"' in newer.payload
    assert dead_letters.retry(old).outcome is dead_letters.Outcome.GONE, "as it was before"
    assert dead_letters.retry(older).outcome is dead_letters.Outcome.WRITTEN
    assert in_database(pk) == ({"old": 1}, 0)


def test_a_discard_takes_the_dead_letters_along(cart: Draft) -> None:
    pk, _ = refused(cart)
    cart.discard(pk)
    assert not DeadLetter.objects.exists()


def test_what_cannot_be_read_is_a_letter_of_its_own(draft_of: MakeDraft) -> None:
    row = Cart.objects.create()
    old = draft_of(Cart, name="d", fields=["items", "total"])
    old.save(row.pk, items={"a": 1}, total=4)
    registry.unregister(old)
    new = draft_of(Cart, name="d", fields=["total"])
    assert new.get(row.pk) == {"total": 4}
    done = new.flush()
    assert (done.rows, done.refused) == (1, 1)
    assert in_database(row.pk) == ({}, 4)
    letter = DeadLetter.objects.get()
    assert "items" in letter.reason
    tried = dead_letters.retry(letter)
    assert tried.outcome is dead_letters.Outcome.REFUSED
    assert "cannot be read" in tried.reason
    assert DeadLetter.objects.exists()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"total": "much"}, "total cannot be 'much'"),
        ({"total": None}, "has no NULL"),
        ({"items": object()}, "not JSON serializable"),
        ({"items": float("nan")}, "not JSON compliant"),
        ({"owner": "x" * 41}, "41 characters, and the column 40"),
        ({"owner": "a\0b"}, "NUL"),
        ({"owner": "a\ud800"}, "owner cannot be"),
        ({"items": {"a": ["b\0"]}}, "items cannot be .* NUL"),
        ({"items": {"\0": 1}}, "NUL"),
        ({"items": ["\\\0"]}, "NUL"),
        ({"items": "a\ud800"}, "half of a surrogate pair"),
        ({"items": {"\udc00\ud800": 1}}, "half of a surrogate pair"),
        ({"seen_at": "soon"}, "seen_at cannot be 'soon'"),
    ],
)
def test_a_value_that_the_column_does_not_take_is_refused(
    whole: Draft, values: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        whole.save(1, **values)
    assert whole.pending() == 0


@pytest.mark.parametrize(
    "items", ["\\u0000", ["\\\\u0000"], {"\\ud800": "\ud83d\ude00"}, "\U0001f600"]
)
def test_json_that_only_looks_refusable_is_written(whole: Draft, items: Any) -> None:
    whole.save(1, items=items)
    assert whole.flush().rows == 1
    expected = json.loads(json.dumps(items))
    found = whole.get(1)
    assert found is not None
    assert found.items == expected
    assert Cart.objects.nocache().get(pk=1).items == expected


def test_a_column_that_is_given_twice_is_refused(cart: Draft, draft_of: MakeDraft) -> None:
    with pytest.raises(PolicyError, match=r"total is given for one column.* Give it once"):
        cart.save(1, {"total": 1}, total=2)
    listing = draft_of(Listing, fields=["shelf"])
    for values in ({"shelf": None, "shelf_id": 3}, {"shelf_id": 3, "shelf": None}):
        both = " and ".join(values)
        with pytest.raises(PolicyError, match=f"{both} are given for one column"):
            listing.save(1, **values)
        with pytest.raises(PolicyError, match=f"{both} are given for one column"):
            listing.save_many({1: values})
    assert cart.pending() == listing.pending() == 0


def test_names_that_are_not_drafted_are_refused(cart: Draft) -> None:
    with pytest.raises(TypeError, match=r"'owner' is not drafted\. Use one of: items, total"):
        cart.save(1, owner="me")
    with pytest.raises(TypeError, match="no value was given"):
        cart.save(1)
    with pytest.raises(TypeError, match="Save it first"):
        cart.save(Cart(), items={})


def test_keys_that_no_row_can_have_are_refused(draft_of: MakeDraft) -> None:
    draft = draft_of(TextRow)
    for key in ("a\0b", "\ud800"):
        with pytest.raises(ValueError, match=r"NUL|surrogates"):
            draft.save(key, n=1)
    assert draft.pending() == 0


def test_what_only_the_database_refuses_is_a_letter_without_loss(
    cart: Draft, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = Cart.objects.create(), Cart.objects.create()
    with monkeypatch.context() as older:  # A process of a version that did not look for these.
        older.setattr("django_cachepatterns.write_behind.drafts.values._check_texts", str)
        cart.save(bad.pk, items={"half": "\ud800", "nul": "\0"})
    cart.save(good.pk, items={"a": 1})
    done = cart.flush()
    assert (done.rows, done.refused) == (1, 1)
    saved = cart.from_text(DeadLetter.objects.get().payload)["items"]
    assert json.loads(saved.value.text) == {"half": "\ud800", "nul": "\0"}


def test_two_drafts_of_one_name_are_refused(cart: Draft) -> None:
    Draft(Cart, fields=["items", "total"])
    with pytest.raises(PolicyError, match=r"called 'testapp.Cart-draft'.*another name"):
        Draft(Cart, fields=["items"])


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"model": "testapp.Nothing"}, "E046"),
        ({"model": "testapp.Essay"}, "E047"),
        ({"model": "testapp.Essay", "fields": ["title"]}, "E048"),
        ({"model": "testapp.Cart", "fields": ["id"]}, "E048"),
        ({"model": "testapp.Cart", "fields": ["nothing"]}, "E048"),
        ({"model": "testapp.Cart", "fields": []}, "E048"),
        ({"model": "testapp.Piece", "fields": ["marks"]}, "E048"),
        ({"model": "testapp.Ticket", "fields": ["tens"]}, "E048"),
        ({"model": "testapp.Page", "fields": ["views"]}, "E049"),
        ({"model": "testapp.Cart", "fields": ["items"], "batch_rows": 0}, "E041"),
    ],
)
def test_what_cannot_be_drafted_is_a_problem(
    options: dict[str, Any], code: str, draft_of: MakeDraft
) -> None:
    draft = draft_of(options.pop("model"), name="odd", **options)
    assert [problem.code for problem in draft.problems()] == [code]
    if code in ("E046", "E047", "E048"):
        with pytest.raises((PolicyError, LookupError)):
            draft.save(1, title="x")


def test_a_good_draft_has_no_problems(cart: Draft, draft_of: MakeDraft) -> None:
    assert cart.problems() == []
    assert draft_of("testapp.Essay", fields=["words"], name="w").problems()[0].code == "E049"


def test_the_lowest_bigint_is_written() -> None:
    # `-9223372036854775808::bigint` is the negative of a number that does not fit.
    stocks = Draft(Item, fields=["stock"], name="lowest-stock")
    item = Item.objects.create(name="low", slug="low")
    try:
        stocks.save(item.pk, stock=-(2**63))
        assert stocks.flush().rows == 1
    finally:
        registry.unregister(stocks)
    item.refresh_from_db()
    assert item.stock == -(2**63)
