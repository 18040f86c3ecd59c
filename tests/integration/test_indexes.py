"""Lists that pin a column of the policy's `indexes`: who is told of a write, and who is not."""

from __future__ import annotations

import datetime as dt
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, connections, models, transaction
from django.db.models import Case, Exists, F, OuterRef, Q, Value, When
from django.test.utils import CaptureQueriesContext

from tests.testapp.models import Category, Mark, Piece, Shelf, Ticket
from tests.testapp.plain import Clerk, Office

pytestmark = pytest.mark.django_db(transaction=True)


class Lists:
    """A list of each category, cached; `fresh()` says whose are not any more."""

    def __init__(self) -> None:
        self.red, self.blue, self.green = (
            Category.objects.create(name=name) for name in ("red", "blue", "green")
        )
        self.pieces = Piece.objects.bulk_create(
            [
                Piece(category=(self.red, self.blue, self.green)[n % 3], slug=f"p{n}", rank=n)
                for n in range(6)
            ]
        )
        self.of = {
            name: Piece.objects.filter(category=category).order_by("pk")
            for name, category in (
                ("red", self.red),
                ("blue", self.blue),
                ("green", self.green),
            )
        }
        self.warm()

    def warm(self) -> None:
        for each in self.of.values():
            list(each.cache())
            list(each.cache())

    def stale(self) -> set[str]:
        """The names of the lists that were loaded anew; checks that all of them are right."""
        loaded = set()
        for name, each in self.of.items():
            with CaptureQueriesContext(connection) as context:
                found = [vars_of(piece) for piece in each.cache()]
            # A row of a list that still holds may be read by itself.
            if any("ORDER BY" in query["sql"] for query in context.captured_queries):
                loaded.add(name)
            assert found == [vars_of(piece) for piece in each.nocache()], name
        return loaded


def vars_of(piece: Piece) -> dict[str, Any]:
    return {name: value for name, value in vars(piece).items() if name != "_state"}


@pytest.fixture
def lists() -> Lists:
    return Lists()


def loaded_raw(lists: Lists, tmp_path: Path, **changes: Any) -> None:
    piece = lists.pieces[0]
    fields = {"category": lists.red.pk, "slug": "p0", "rank": 9, "stock": 0, "marks": []}
    dump = [{"model": "testapp.piece", "pk": piece.pk, "fields": {**fields, **changes}}]
    path = tmp_path / "dump.json"
    path.write_text(json.dumps(dump))
    call_command("loaddata", str(path), verbosity=0)


def save(lists: Lists) -> None:
    lists.pieces[0].rank = 50
    lists.pieces[0].save()


def save_update_fields(lists: Lists) -> None:
    lists.pieces[0].rank = 51
    lists.pieces[0].save(update_fields=["rank"])


def save_expression(lists: Lists) -> None:
    lists.pieces[0].rank = F("rank") + 1
    lists.pieces[0].save()


def save_deferred(lists: Lists) -> None:
    piece = Piece.objects.only("rank").get(pk=lists.pieces[0].pk)
    piece.rank = 52
    piece.save()


def update(lists: Lists) -> None:
    Piece.objects.filter(pk=lists.pieces[0].pk).update(rank=53)


def update_by_category(lists: Lists) -> None:
    Piece.objects.filter(category=lists.red).update(rank=F("rank") + 1)


def bulk_update(lists: Lists) -> None:
    lists.pieces[0].rank = 54
    Piece.objects.bulk_update(lists.pieces[:1], ["rank"])


def create(lists: Lists) -> None:
    Piece.objects.create(category=lists.red, slug="new")


def create_with_key(lists: Lists) -> None:
    Piece(pk=lists.pieces[-1].pk + 100, category=lists.red, slug="new").save(force_insert=True)


def bulk_create(lists: Lists) -> None:
    Piece.objects.bulk_create([Piece(category_id=lists.red.pk, slug="new")])


def bulk_create_ignoring(lists: Lists) -> None:
    Piece.objects.bulk_create([Piece(category=lists.red, slug="new")], ignore_conflicts=True)


def get_or_create(lists: Lists) -> None:
    Piece.objects.get_or_create(slug="new", defaults={"category": lists.red})


def update_or_create(lists: Lists) -> None:
    Piece.objects.update_or_create(slug="p0", defaults={"rank": 55})


def delete(lists: Lists) -> None:
    lists.pieces[0].delete()


def delete_by_queryset(lists: Lists) -> None:
    Piece.objects.filter(pk=lists.pieces[0].pk).delete()


def raw_delete(lists: Lists) -> None:
    Piece.objects.filter(pk=lists.pieces[0].pk)._raw_delete("default")


WITHIN: list[Callable[[Lists], None]] = [
    save,
    save_update_fields,
    save_expression,
    save_deferred,
    update,
    update_by_category,
    bulk_update,
    create,
    create_with_key,
    bulk_create,
    bulk_create_ignoring,
    get_or_create,
    update_or_create,
    delete,
    delete_by_queryset,
]
"""Writes to rows that are red, and stay red."""


def move_by_save(lists: Lists) -> None:
    lists.pieces[0].category = lists.blue
    lists.pieces[0].save()


def move_by_update_fields(lists: Lists) -> None:
    lists.pieces[0].category_id = lists.blue.pk
    lists.pieces[0].save(update_fields=["category"])


def move_by_a_stale_instance(lists: Lists) -> None:
    """The instance has never heard of red."""
    Piece(pk=lists.pieces[0].pk, category=lists.blue, slug="p0").save()


def move_by_update(lists: Lists) -> None:
    Piece.objects.filter(category=lists.red).update(category=lists.blue)


def move_by_case(lists: Lists) -> None:
    Piece.objects.filter(pk=lists.pieces[0].pk).update(
        category=Case(
            When(rank__lt=100, then=Value(lists.blue.pk)),
            default=F("category"),
            output_field=models.BigIntegerField(),
        )
    )


def move_by_expression(lists: Lists) -> None:
    lists.pieces[0].category_id = Value(lists.blue.pk)
    lists.pieces[0].save()


def move_by_bulk_update(lists: Lists) -> None:
    lists.pieces[0].category = lists.blue
    Piece.objects.bulk_update(lists.pieces[:1], ["category"])


def move_by_conflict(lists: Lists) -> None:
    Piece.objects.bulk_create(
        [Piece(category=lists.blue, slug="p0")],
        update_conflicts=True,
        update_fields=["category"],
        unique_fields=["slug"],
    )


def move_by_update_or_create(lists: Lists) -> None:
    Piece.objects.update_or_create(slug="p0", defaults={"category": lists.blue})


def move_by_related_manager(lists: Lists) -> None:
    lists.blue.piece_set.add(lists.pieces[0])


MOVES: list[Callable[[Lists], None]] = [
    move_by_save,
    move_by_update_fields,
    move_by_a_stale_instance,
    move_by_update,
    move_by_case,
    move_by_expression,
    move_by_bulk_update,
    move_by_conflict,
    move_by_update_or_create,
    move_by_related_manager,
]
"""Writes that make red rows blue."""

BLIND = {save_expression, move_by_case, move_by_expression, move_by_conflict}
"""Those of which nobody knows the new value beforehand: they may tell every list."""


def in_autocommit(write: Callable[[Lists], None], lists: Lists) -> None:
    write(lists)


def in_atomic(write: Callable[[Lists], None], lists: Lists) -> None:
    with transaction.atomic():
        write(lists)


def in_a_savepoint(write: Callable[[Lists], None], lists: Lists) -> None:
    with transaction.atomic(), transaction.atomic():
        write(lists)


IN = pytest.mark.parametrize("within", [in_autocommit, in_atomic, in_a_savepoint])
named = lambda each: each.__name__  # noqa: E731


@IN
@pytest.mark.parametrize("write", WITHIN, ids=named)
def test_a_write_leaves_the_lists_of_other_categories(
    lists: Lists, write: Callable[[Lists], None], within: Any
) -> None:
    within(write, lists)
    assert lists.stale() == {"red"}


@IN
@pytest.mark.parametrize("write", MOVES, ids=named)
def test_a_move_refreshes_both_lists(
    lists: Lists, write: Callable[[Lists], None], within: Any
) -> None:
    within(write, lists)
    stale = lists.stale()
    assert stale >= {"red", "blue"}
    assert stale == {"red", "blue"} or write in BLIND


@pytest.mark.parametrize("write", [*WITHIN, *MOVES, raw_delete], ids=named)
def test_what_is_rolled_back_changes_no_list(lists: Lists, write: Callable[[Lists], None]) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        write(lists)
        lists.stale()  # This transaction sees its own rows.
        raise ZeroDivisionError
    lists.stale()
    lists.warm()
    lists.pieces = list(Piece.objects.nocache().order_by("pk"))
    with transaction.atomic():
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            write(lists)
            raise ZeroDivisionError
        lists.stale()
    assert lists.stale() <= {"red", "blue", "green"}
    assert lists.stale() == set()


def test_a_raw_save_refreshes_both_lists(lists: Lists, tmp_path: Path) -> None:
    loaded_raw(lists, tmp_path, category=lists.blue.pk)
    assert lists.stale() >= {"red", "blue"}


def test_a_cascade_refreshes_the_lists_of_its_rows(lists: Lists) -> None:
    lists.red.delete()
    assert Piece.objects.filter(category=None).count() == 2
    assert lists.stale() == {"red"}


def test_a_raw_delete_leaves_the_lists_of_other_categories(lists: Lists) -> None:
    raw_delete(lists)
    assert lists.stale() == {"red"}


def test_a_write_that_matches_nothing_leaves_every_list(lists: Lists) -> None:
    everything = Piece.objects.order_by("pk").cache()
    assert len(everything.all()) == 6
    Piece.objects.filter(slug="nobody").update(rank=1)
    Piece.objects.filter(slug="nobody").update(category=lists.red)
    Piece.objects.filter(slug="nobody").delete()
    Piece.objects.filter(slug="nobody")._raw_delete("default")
    assert lists.stale() == set()
    with CaptureQueriesContext(connection) as context:
        assert len(everything.all()) == 6
    assert not context.captured_queries


def test_a_new_primary_key_refreshes_the_list(lists: Lists) -> None:
    pk = lists.pieces[0].pk
    Piece.objects.filter(pk=pk).update(id=pk + 1000)
    assert lists.stale() >= {"red"}
    Piece.objects.filter(pk=pk + 1000).update(id=pk + 2000, category=lists.blue)
    assert lists.stale() >= {"red", "blue"}


# Who is told when two transactions move the same row


def test_a_row_that_another_has_moved_since_it_was_read(lists: Lists, elsewhere: Any) -> None:
    with transaction.atomic():
        piece = Piece.objects.nocache().get(pk=lists.pieces[0].pk)
        elsewhere(lambda: Piece.objects.filter(pk=piece.pk).update(category=lists.blue))
        elsewhere(lists.stale)
        piece.category = lists.green
        piece.save()
    assert lists.stale() == {"blue", "green"}


def until_somebody_waits_for_a_lock(thread: threading.Thread) -> None:
    deadline = time.monotonic() + 10
    with connection.cursor() as cursor:
        while True:
            cursor.execute(
                "SELECT count(*) FROM pg_locks AS wanted JOIN pg_locks AS held "
                "USING (transactionid) WHERE NOT wanted.granted AND held.granted "
                "AND held.pid = pg_backend_pid()"
            )
            if cursor.fetchone()[0]:
                return
            assert thread.is_alive(), "it did not wait"
            assert time.monotonic() < deadline, "nobody waits"
            time.sleep(0.01)


@pytest.mark.parametrize(
    "write",
    [
        move_by_save,
        move_by_update_fields,
        move_by_bulk_update,
        lambda lists: Piece.objects.filter(pk=lists.pieces[0].pk).update(category=lists.blue),
        delete,
    ],
    ids=["save", "update_fields", "bulk_update", "update", "delete"],
)
def test_a_row_that_another_is_moving(lists: Lists, write: Callable[[Lists], None]) -> None:
    """The write waits for the other's row, and then knows where it was moved to."""
    pk, failed = lists.pieces[0].pk, []

    def run() -> None:
        try:
            write(lists)
        except BaseException as error:
            failed.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    with transaction.atomic():
        Piece.objects.filter(pk=pk).update(category=lists.green)
        thread.start()
        until_somebody_waits_for_a_lock(thread)
    thread.join(10)
    assert not thread.is_alive()
    assert not failed
    lists.stale()
    assert lists.stale() == set()


def test_a_row_that_comes_between_the_look_and_the_statement(lists: Lists, elsewhere: Any) -> None:
    """An instance with a key that nobody has: at its UPDATE somebody has it."""
    pk = lists.pieces[-1].pk + 100

    def other() -> None:
        Piece.objects.create(pk=pk, category=lists.blue, slug="theirs")
        lists.stale()

    def meddle(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith("UPDATE"):
            elsewhere(other)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(meddle):
        Piece(pk=pk, category=lists.red, slug="ours").save()
    assert Piece.objects.nocache().get(pk=pk).category_id == lists.red.pk
    assert lists.stale() == {"red", "blue", "green"}


def test_a_row_that_comes_between_a_raw_deletes_look_and_its_statement(
    lists: Lists, elsewhere: Any
) -> None:
    """A delete knows its rows from the statement itself."""

    def other() -> None:
        created = Piece.objects.create(category=lists.blue, slug="theirs", rank=77)
        assert Piece.objects.get(pk=created.pk).rank == 77
        lists.stale()

    def meddle(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith("DELETE"):
            elsewhere(other)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(meddle):
        Piece.objects.filter(rank=77)._raw_delete("default")
    assert lists.stale() == {"blue"}
    assert Piece.objects.filter(slug="theirs").cache().first() is None


def test_inserting_a_referring_row_is_not_kept_waiting(lists: Lists, elsewhere: Any) -> None:
    """The lock is the one that the statement takes, which lets others refer to the row."""
    mark = Mark.objects.create(name="m")
    with transaction.atomic():
        move_by_save(lists)
        Piece.objects.filter(pk=lists.pieces[1].pk).update(category=lists.red)
        with transaction.atomic():
            elsewhere(lambda: lists.pieces[0].marks.add(mark))
            elsewhere(lambda: lists.pieces[1].marks.add(mark))


def test_a_delete_waits_for_who_refers_to_the_row(lists: Lists) -> None:
    """Its lock is as strong as the delete from the start: one that grew could meet another's."""
    with transaction.atomic(), CaptureQueriesContext(connection) as context:
        lists.pieces[0].delete()
    locks = [q["sql"] for q in context.captured_queries if "FOR " in q["sql"]]
    assert [sql.rpartition("FOR ")[2] for sql in locks] == ["UPDATE"]


# What narrows, and what does not


def other_writes() -> list[Callable[[Lists], None]]:
    return [
        lambda lists: Piece.objects.filter(category=lists.green).update(rank=F("rank") + 1),
        lambda lists: Piece.objects.filter(slug="p5").delete(),
    ]


NARROW: dict[str, Callable[[Lists], Any]] = {
    "a key": lambda lists: Piece.objects.filter(category_id=lists.red.pk),
    "its text": lambda lists: Piece.objects.filter(category_id=str(lists.red.pk)),
    "its pk": lambda lists: Piece.objects.filter(category__pk=lists.red.pk),
    "in": lambda lists: Piece.objects.filter(category__in=[lists.red, lists.blue]),
    "in, by keys": lambda lists: Piece.objects.filter(category__in={lists.red.pk}),
    "and more": lambda lists: Piece.objects.filter(category=lists.red, rank__gt=0),
    "and either": lambda lists: Piece.objects.filter(Q(rank=1) | Q(rank=0), category=lists.red),
    "a related manager": lambda lists: lists.red.piece_set.all(),
    "ordered and sliced": lambda lists: Piece.objects.filter(category=lists.red).order_by("-rank")[
        :1
    ],
    "values": lambda lists: Piece.objects.filter(category=lists.red).values("rank"),
    "over a join": lambda lists: Piece.objects.filter(category=lists.red, category__name="red"),
    "annotated": lambda lists: Piece.objects.filter(category=lists.red).annotate(x=F("rank") + 1),
}
WIDE: dict[str, Callable[[Lists], Any]] = {
    "or": lambda lists: Piece.objects.filter(Q(category=lists.red) | Q(rank__gt=4)),
    "exclude": lambda lists: Piece.objects.exclude(category=lists.red),
    "twice excluded": lambda lists: Piece.objects.exclude(~Q(category=lists.red, rank=0)),
    "xor": lambda lists: Piece.objects.filter(Q(category=lists.red) ^ Q(rank__gt=4)),
    "gte": lambda lists: Piece.objects.filter(category__gte=lists.red.pk),
    "null": lambda lists: Piece.objects.filter(category=None),
    "an expression": lambda lists: Piece.objects.filter(category=F("rank") + lists.red.pk),
    "in a queryset": lambda lists: Piece.objects.filter(
        category__in=Category.objects.filter(name="red")
    ),
    "the related name": lambda lists: Piece.objects.filter(category__name="red"),
    "the table twice": lambda lists: Piece.objects.filter(
        Exists(Piece.objects.filter(rank=OuterRef("rank") + 2)), category=lists.red
    ),
    "joined to itself": lambda lists: Piece.objects.filter(
        category=lists.red, category__piece__rank__gt=-1
    ),
    "union": lambda lists: Piece.objects.filter(category=lists.red).union(
        Piece.objects.filter(rank=5)
    ),
    "another model's": lambda lists: Category.objects.filter(piece__category=lists.red),
}


@pytest.mark.parametrize("name", NARROW)
def test_a_query_that_pins_the_column_depends_on_its_value(lists: Lists, name: str) -> None:
    made = NARROW[name]
    for write in other_writes():
        before = list(made(lists).cache()), made(lists).cache().count()
        write(lists)
        with CaptureQueriesContext(connection) as context:
            after = list(made(lists).cache()), made(lists).cache().count()
        assert not context.captured_queries
        assert after == before
    in_order = made(lists) if made(lists).query.is_sliced else made(lists).order_by("pk")
    Piece.objects.filter(category=lists.red).update(rank=F("rank") + 100)
    assert list(in_order.all().cache()) == list(in_order.nocache())
    Piece.objects.filter(category=lists.blue).update(category=lists.red)
    assert list(in_order.all().cache()) == list(in_order.nocache())


@pytest.mark.parametrize("name", WIDE)
def test_another_query_depends_on_the_whole_table(lists: Lists, name: str) -> None:
    made = WIDE[name]
    for write in other_writes():
        list(made(lists).cache()), made(lists).cache().count()
        write(lists)
        with CaptureQueriesContext(connection) as context:
            found = made(lists).cache().count(), sorted(each.pk for each in made(lists).cache())
        assert len(context.captured_queries) >= 2
        assert found == (made(lists).nocache().count(), sorted(e.pk for e in made(lists).nocache()))


# Several columns, nulls, and what only the database computes


def tickets(**pins: Any) -> tuple[bool, list[dict[str, Any]]]:
    """A cached list, and whether it was loaded anew; it is right in any case."""
    queryset = Ticket.objects.filter(**pins).order_by("pk")
    with CaptureQueriesContext(connection) as context:
        found = list(queryset.cache().values())
    assert found == list(queryset.nocache().values())
    return bool(context.captured_queries), found


DAY = dt.date(2024, 1, 1)


def test_each_of_several_columns_has_versions_of_its_own() -> None:
    one, two = (
        Ticket.objects.create(state=state, day=DAY + dt.timedelta(days=n))
        for n, state in enumerate(["open", "shut"])
    )
    pins: list[dict[str, Any]] = [
        {"state": "open"},
        {"state": "shut"},
        {"day": DAY},
        {"day": DAY + dt.timedelta(days=1)},
        {"urgent": True},
        {"urgent": False},
    ]
    for each in pins:
        tickets(**each)

    def changed() -> list[bool]:
        return [tickets(**each)[0] for each in pins]

    assert changed() == [False] * 6
    Ticket.objects.filter(pk=one.pk).update(rank=1)
    assert changed() == [True, False, True, False, False, True]
    two.day = DAY
    two.save()
    assert changed() == [False, True, True, True, False, True]
    Ticket.objects.filter(pk=two.pk).update(state="open")
    assert changed() == [True, True, True, False, False, True]
    Ticket.objects.filter(pk=two.pk).update(urgent=True)
    assert changed() == [True, False, True, False, True, True]


def test_many_rows_are_looked_at_in_batches(monkeypatch: pytest.MonkeyPatch, lists: Lists) -> None:
    """Some databases take no more than so many parameters."""
    monkeypatch.setattr(connection.features, "max_query_params", 2)
    Piece.objects.exclude(category=lists.green).update(category=lists.green)
    assert lists.stale() == {"red", "blue", "green"}
    Piece.objects.filter(category=lists.green).delete()
    assert lists.stale() == {"green"}


def test_a_column_that_becomes_null_and_something_again() -> None:
    ticket = Ticket.objects.create(state="open")
    tickets(state="open")
    Ticket.objects.filter(pk=ticket.pk).update(state=None)
    assert tickets(state="open") == (True, [])
    ticket.refresh_from_db()
    ticket.state = "open"
    ticket.save()
    assert tickets(state="open")[0]
    ticket.state = None
    ticket.save()
    assert tickets(state="open") == (True, [])
    assert tickets(state__isnull=True)[0]
    ticket.state = "open"
    ticket.save()
    assert tickets(state__isnull=True) == (True, [])


def test_a_column_that_the_database_computes_does_not_narrow() -> None:
    ticket = Ticket.objects.create(rank=5)
    tickets(tens=0)
    tickets(tens=1)
    ticket.rank = 15
    ticket.save()
    assert [len(tickets(tens=n)[1]) for n in (0, 1)] == [0, 1]
    Ticket.objects.filter(pk=ticket.pk).update(rank=5)
    assert [len(tickets(tens=n)[1]) for n in (0, 1)] == [1, 0]
    Ticket.objects.bulk_create([Ticket(rank=12)])
    assert [len(tickets(tens=n)[1]) for n in (0, 1)] == [1, 1]


# Models that cannot be edited


@pytest.fixture
def clerks(settings: Any) -> tuple[Office, Office]:
    """A followed model without the mixin, so that its saves in autocommit have no transaction."""
    settings.CACHEPATTERNS = {
        **settings.CACHEPATTERNS,
        "POLICIES": {"testapp.Clerk": {"indexes": ["office"]}, "testapp.Office": {}},
    }
    return Office.objects.create(name="here"), Office.objects.create(name="there")


def clerks_of(office: Office) -> tuple[bool, list[str]]:
    from django_cachepatterns.querysets import CachedQuerySet

    queryset = CachedQuerySet(Clerk).filter(office=office).order_by("name")
    with CaptureQueriesContext(connection) as context:
        found = list(queryset.cache().values_list("name", flat=True))
    assert found == list(queryset.nocache().values_list("name", flat=True))
    return bool(context.captured_queries), found


def test_a_model_without_the_mixin_tells_every_list_in_autocommit(
    clerks: tuple[Office, Office],
) -> None:
    here, there = clerks
    ada = Clerk.objects.create(name="ada", office=here)
    clerks_of(here), clerks_of(there)
    assert (clerks_of(here), clerks_of(there)) == ((False, ["ada"]), (False, []))
    ada.office = there
    ada.save()
    assert (clerks_of(here), clerks_of(there)) == ((True, []), (True, ["ada"]))
    ada.grade = 3
    ada.save()
    assert (clerks_of(here)[0], clerks_of(there)[0]) == (True, True)
    with transaction.atomic():
        ada.save()
    assert (clerks_of(here)[0], clerks_of(there)[0]) == (False, True)
    Clerk.objects.filter(name="ada").update(grade=4)
    assert (clerks_of(here)[0], clerks_of(there)[0]) == (False, True)
    ada.delete()
    assert (clerks_of(here)[1], clerks_of(there)) == ([], (True, []))


# What it costs


def statements(write: Callable[[], object]) -> list[str]:
    with CaptureQueriesContext(connection) as context:
        write()
    return [query["sql"].split()[0] for query in context.captured_queries]


def test_a_model_without_indexes_costs_no_more_statements() -> None:
    shelf = Shelf.objects.create(name="a")
    assert statements(lambda: Shelf.objects.create(name="b")) == ["INSERT"]
    assert statements(shelf.save) == ["UPDATE"]
    assert statements(lambda: shelf.save(update_fields=["name"])) == ["UPDATE"]
    assert statements(lambda: Shelf(pk=10**6, name="c").save(force_insert=True)) == ["INSERT"]


def test_what_a_save_costs_with_indexes(lists: Lists) -> None:
    piece = lists.pieces[0]
    assert statements(piece.save) == ["BEGIN", "SELECT", "UPDATE", "COMMIT"]
    with transaction.atomic():
        assert statements(piece.save) == ["SELECT", "UPDATE"]
    created = statements(lambda: Piece.objects.create(slug="x", category=lists.red))
    assert created == ["BEGIN", "INSERT", "COMMIT"]
    keyed = statements(lambda: Piece.objects.create(pk=10**6, slug="y", category=lists.red))
    assert keyed == ["BEGIN", "INSERT", "COMMIT"]
    same = Piece.objects.filter(category=lists.red)
    assert statements(lambda: same.update(rank=1)) == ["BEGIN", "UPDATE", "COMMIT"]
    assert statements(lambda: same._raw_delete("default")) == ["BEGIN", "DELETE", "COMMIT"]


def test_receivers_find_the_row_committed(lists: Lists, elsewhere: Any) -> None:
    seen: list[Any] = []

    def after(sender: Any, instance: Piece, **kwargs: Any) -> None:
        seen.append(connection.in_atomic_block)
        seen.append(elsewhere(lambda: Piece.objects.nocache().get(pk=instance.pk).rank))

    models.signals.post_save.connect(after, sender=Piece)
    try:
        save(lists)
    finally:
        models.signals.post_save.disconnect(after, sender=Piece)
    assert seen == [False, 50]


def test_a_save_that_fails_leaves_no_transaction_and_no_mark(lists: Lists) -> None:
    lists.pieces[0].slug = lists.pieces[1].slug
    with pytest.raises(IntegrityError):
        lists.pieces[0].save()
    assert not connection.in_atomic_block
    lists.stale()
    assert lists.stale() == set()
