"""Write-behind where it is easily wrong: each of these has been."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, models, transaction
from django.test import override_settings
from django.test.utils import isolate_apps
from django.utils import timezone

from django_cachepatterns import hooks
from django_cachepatterns.exceptions import BufferFull, OutcomeUnknown
from django_cachepatterns.invalidation import registry
from django_cachepatterns.models import LedgerEntry
from django_cachepatterns.stores.buffers import RedisBuffers
from django_cachepatterns.testing import outage
from django_cachepatterns.write_behind import Counter, Draft
from django_cachepatterns.write_behind import registry as registry_of_buffers
from django_cachepatterns.write_behind.counter import CounterBuffer
from django_cachepatterns.write_behind.flushing import flush_buffers
from django_cachepatterns.write_behind.pruning import prune
from django_cachepatterns.write_behind.tenants import aliases_of
from example_project.servers import Valkey
from tests.testapp.models import Cart, Detail, Essay, Item, Page, Shelf, TextRow, Visit

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def page() -> Page:
    return Page.objects.create()


def views(page: Page) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT views FROM testapp_page WHERE id = %s", [page.pk])
        return cursor.fetchone()[0]


def test_a_row_that_is_named_twice_counts_twice_without_the_server(page: Page) -> None:
    amounts = {page.pk: 1, str(page.pk): 2, page: 4}
    Page.view_counter.increment_many(amounts)
    assert page.view_counter.value == 7
    with outage():
        Page.view_counter.increment_many(amounts)
    assert views(page) == 7


def test_a_key_that_is_longer_than_its_column_is_no_row_s() -> None:
    counter = CounterBuffer(TextRow, "n")
    row = TextRow.objects.create(code="a" * 200)
    counter.increment_many({"a" * 201: 10, "a" * 250: 100})
    assert counter.flush().dropped == 2
    row.refresh_from_db()
    assert row.n == 0


PLANS = "SELECT " + ", ".join(
    f"current_setting('enable_{way}')" for way in ("hashjoin", "mergejoin", "seqscan")
)


def plans() -> tuple[str, ...]:
    with connection.cursor() as cursor:
        cursor.execute(PLANS)
        return cursor.fetchone()


def test_a_direct_write_leaves_the_callers_transaction_its_plans(page: Page) -> None:
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_mergejoin = off")
        before = plans()
        with outage():
            page.view_counter.increment()
        assert plans() == before == ("on", "off", "on")
    assert views(page) == 1


def test_a_server_without_memory_is_one_that_refuses(own_valkey: Valkey, page: Page) -> None:
    caches = {
        "default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": own_valkey.url},
    }
    with override_settings(CACHES=caches, CACHEPATTERNS={"DRAIN_AT_EXIT": False}):
        page.view_counter.increment()
        channel = Page.view_counter.server()._store.channel
        channel.call(b"CONFIG SET maxmemory-policy noeviction\r\n")
        channel.call(b"CONFIG SET maxmemory 1\r\n")
        for _ in range(3):
            page.view_counter.increment()
        assert len(Page.view_counter.backlog()) == 1
        assert views(page) == 3
        keys = Page.view_counter.keys()
        assert Page.view_counter.server().take_turn(keys.due, 1000)
        assert Page.view_counter.flush().errors == ()
        assert views(page) == 4


def test_an_operation_that_the_full_buffer_refuses_counts_once(page: Page) -> None:
    small = CounterBuffer(Page, "views", max_pending=1)
    small.increment(Page.objects.create().pk)
    for _ in range(2):
        with pytest.raises(BufferFull, match="order 17"):
            small.increment(page.pk, operation="order 17")
    assert views(page) == 0
    small.flush()
    for _ in range(2):
        small.increment(page.pk, operation="order 17")
    assert small.values([page.pk]) == {page.pk: 1}


def test_the_error_has_the_operation_to_try_again_with(page: Page, monkeypatch: Any) -> None:
    def lost(*args: Any) -> int:
        raise OutcomeUnknown("no reply")

    monkeypatch.setattr(RedisBuffers, "write", lost)
    with pytest.raises(OutcomeUnknown) as caught:
        page.view_counter.increment(strict=True)
    assert caught.value.operation
    assert repr(caught.value.operation) in str(caught.value)
    with pytest.raises(OutcomeUnknown) as caught:
        page.view_counter.increment(operation="mine")
    assert caught.value.operation == "mine"


@pytest.mark.parametrize("carried_out", [True, False])
def test_many_are_tried_again_as_a_whole(page: Page, monkeypatch: Any, carried_out: bool) -> None:
    amounts = {page.pk + at: 1 for at in range(2500)}
    plain, calls = RedisBuffers.write, []

    def lost_in_the_middle(self: Any, *args: Any) -> int:
        calls.append(args)
        if len(calls) == 1:
            return plain(self, *args)
        if carried_out:
            plain(self, *args)
        raise OutcomeUnknown("no reply")

    with monkeypatch.context() as patch:
        patch.setattr(RedisBuffers, "write", lost_in_the_middle)
        with pytest.raises(OutcomeUnknown) as caught:
            Page.view_counter.increment_many(amounts, strict=True)
    Page.view_counter.increment_many(amounts, operation=caught.value.operation)
    assert Page.view_counter.pending() == 2500


def test_a_key_of_the_wrong_kind_is_refused_at_once() -> None:
    with pytest.raises(ValidationError):
        Visit.hit_counter.increment(2**200, on_commit=False)
    for pk in (2**63, -(2**63) - 1):
        with pytest.raises(ValueError, match="64 bits"):
            Page.view_counter.increment(pk)


def test_an_integer_is_the_key_that_django_makes_of_it() -> None:
    visit = Visit.objects.create(id="00000000-0000-0000-0000-000000000005")
    Visit.hit_counter.increment(5, on_commit=False)
    assert Visit.hit_counter.values([5]) == {5: 1}
    assert Visit.hit_counter.flush().rows == 1
    visit.refresh_from_db()
    assert visit.hits == 1


def test_an_applied_batch_s_rows_are_invalidated_by_who_takes_it_out(
    page: Page, elsewhere: Any, redis_client: Any
) -> None:
    """Its flusher has died before it ended its marks, and those had lapsed before the commit."""
    Page.objects.get(pk=page.pk)
    page.view_counter.increment(by=5)
    entry = registry.row_reader(Page, "default").source.entry_key(page.pk)

    def lapse(step: hooks.Flushing) -> None:
        if step.step == "applied":
            redis_client.delete(entry)
            elsewhere(lambda: Page.objects.get(pk=page.pk))

    def die(written: hooks.Written) -> None:
        raise SystemExit

    with hooks.listening(after_flush_step=lapse, before_end_write=die), pytest.raises(SystemExit):
        Page.view_counter.flush()
    assert views(page) == 5
    Page.view_counter.flush()
    assert page.view_counter.value == 5
    assert Page.objects.get(pk=page.pk).views == 5


def test_a_row_of_another_model_is_refused(page: Page) -> None:
    shelf = Shelf.objects.create(name="s")
    with pytest.raises(TypeError, match=r"A testapp\.Shelf was given for a testapp\.Page"):
        Page.view_counter.increment(shelf)
    essay = Essay.objects.create()
    Page.view_counter.increment(essay)
    Essay.word_counter.increment(Page.objects.get(pk=essay.pk))
    assert (essay.view_counter.value, essay.word_counter.value) == (1, 1)
    detail = Detail.objects.create(item=Item.objects.create(name="a", slug="a"))
    weights = CounterBuffer(Detail, "weight")
    weights.increment(detail.item)
    assert weights.values({detail.pk}) == {detail.pk: 1}


@isolate_apps("tests.testapp")
def test_a_table_may_have_any_name() -> None:
    class D(models.Model):
        n = models.IntegerField(default=0)

        counter = Counter("n")

        class Meta:
            app_label = "testapp"
            db_table = "d"

    with connection.schema_editor() as editor:
        editor.create_model(D)
    try:
        row = D.objects.create()
        D.counter.increment(row)
        assert D.counter.flush().rows == 1
    finally:
        with connection.schema_editor() as editor:
            editor.delete_model(D)


def test_a_flush_ends_while_more_is_counted(page: Page) -> None:
    counter = CounterBuffer(Page, "views", batch_rows=1)
    counter.increment(page.pk)

    def count_on(step: hooks.Flushing) -> None:
        if step.step == "read":
            counter.increment(page.pk)
            counter.increment(-1)  # Seals the batch that the first one is in.

    with hooks.listening(after_flush_step=count_on):
        assert counter.flush().batches < 50
    assert counter.flush().errors == ()
    assert sum(each.rows for each in counter.backlog()) == 0


def tenant() -> str:
    return "acme"


def test_a_server_that_has_forgotten_the_tenants_is_told_again(
    own_valkey: Valkey, page: Page
) -> None:
    caches = {
        "default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": own_valkey.url},
    }
    settings = {"TENANT": f"{__name__}.tenant", "DRAIN_AT_EXIT": False}
    with override_settings(CACHES=caches, CACHEPATTERNS=settings):
        page.view_counter.increment()
        own_valkey.kill()
        page.view_counter.increment()  # To the database.
        own_valkey.start()
        Page.view_counter.server()._call(b"FLUSHALL\r\n")
        page.view_counter.increment()
        page.view_counter.increment()
        assert flush_buffers([Page.view_counter]).rows == 1
        assert views(page) == 3


current: ContextVar[str | None] = ContextVar("current", default=None)


def current_tenant() -> str | None:
    return current.get()


@contextmanager
def acting_as(tenant: str | None) -> Iterator[None]:
    if tenant == "gone":
        raise LookupError("no such tenant")
    token = current.set(tenant)
    try:
        yield
    finally:
        current.reset(token)


class DatabaseOfTheTenant:
    def db_for_write(self, model: Any, **hints: Any) -> str | None:
        return "other" if current.get() == "acme" else None


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
@override_settings(DATABASE_ROUTERS=[DatabaseOfTheTenant()])
def test_what_a_tenant_has_counted_is_flushed_to_its_own_database(settings: Any) -> None:
    own = {"TENANT": f"{__name__}.current_tenant", "AS_TENANT": f"{__name__}.acting_as"}
    settings.CACHEPATTERNS = {**settings.CACHEPATTERNS, **own}
    for alias in ("default", "other"):
        Page(pk=7).save(using=alias, force_insert=True)
    for tenant_s in ("gone", "acme", None):
        current.set(tenant_s)
        Page.view_counter.increment(7)
    done = flush_buffers([Page.view_counter])
    assert done.rows == 2
    ((name, reason),) = done.errors
    assert name == "testapp.Page.views"
    assert "tenant 'gone': LookupError: no such tenant" in reason
    assert aliases_of(Page.view_counter) == ["default", "other"]
    views_in = {
        alias: Page.objects.using(alias).nocache().get(pk=7).views for alias in ("default", "other")
    }
    assert views_in == {"default": 1, "other": 1}


def test_the_operation_of_many_rows_is_named_as_it_was_given(monkeypatch: Any) -> None:
    draft = Draft(Cart, fields=["items"], name="faulty")
    registry_of_buffers.unregister(draft)
    plain, calls = RedisBuffers.write, []

    def lost_later(self: Any, *args: Any) -> int:
        calls.append(args)
        if len(calls) == 1:
            return plain(self, *args)
        raise OutcomeUnknown("no reply")

    monkeypatch.setattr(RedisBuffers, "write", lost_later)
    with pytest.raises(OutcomeUnknown) as caught:
        draft.save_many({pk: {"items": {}} for pk in range(1, 1500)}, operation="mine")
    assert caught.value.operation == "mine"
    calls.clear()
    with pytest.raises(OutcomeUnknown) as caught:
        Page.view_counter.increment_many(dict.fromkeys(range(1500), 1), operation="mine")
    assert caught.value.operation == "mine"


@pytest.fixture
def restricted() -> Iterator[Any]:
    """Runs SQL as the owner; else the connection is a role's that may do little."""
    role = f"restricted_{connection.settings_dict['NAME']}"

    def as_owner(sql: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"RESET ROLE; {sql.format(role=role)}; SET ROLE {role}")

    with connection.cursor() as cursor:
        cursor.execute(f"CREATE ROLE {role}")
    try:
        as_owner(
            "GRANT SELECT ON testapp_page TO {role};"
            "GRANT SELECT, INSERT ON cachepatterns_ledger, cachepatterns_dead_letter TO {role};"
            "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}"
        )
        yield as_owner
    finally:
        with connection.cursor() as cursor:
            cursor.execute("RESET ROLE; ALTER TABLE testapp_page DISABLE ROW LEVEL SECURITY")
            cursor.execute("DROP POLICY IF EXISTS few ON testapp_page")
            cursor.execute("DROP POLICY IF EXISTS seen ON testapp_page")
            cursor.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_a_row_that_a_policy_refuses_is_one_dead_letter_and_no_permission_is_none(
    restricted: Any,
) -> None:
    pages = [Page(pk=pk) for pk in (1, 2, 3)]
    with connection.cursor() as cursor:
        cursor.execute("RESET ROLE")
    Page.objects.bulk_create(pages)
    Page.view_counter.increment_many({1: 1, 2: 9, 3: 1})
    restricted("SELECT 1")
    assert "permission denied" in Page.view_counter.flush().errors[0][1]
    restricted(
        "GRANT UPDATE ON testapp_page TO {role};"
        "ALTER TABLE testapp_page ENABLE ROW LEVEL SECURITY;"
        "CREATE POLICY seen ON testapp_page FOR SELECT USING (true);"
        "CREATE POLICY few ON testapp_page FOR UPDATE USING (true) WITH CHECK (views < 5)"
    )
    done = Page.view_counter.flush()
    assert (done.rows, done.refused, done.errors) == (2, 1, ())
    assert [views(page) for page in pages] == [1, 0, 1]


def test_a_batch_that_waits_is_not_forgotten_however_old(page: Page) -> None:
    page.view_counter.increment()

    def die(step: hooks.Flushing) -> None:
        if step.step == "committed":
            raise SystemExit

    with hooks.listening(after_flush_step=die), pytest.raises(SystemExit):
        Page.view_counter.flush()
    LedgerEntry.objects.update(applied_at=timezone.now() - timedelta(days=30))
    assert prune()["default"] == 0
    Page.view_counter.flush()
    assert views(page) == 1
    assert prune()["default"] == 1


def test_an_operation_without_an_id_is_refused(page: Page) -> None:
    with pytest.raises(ValueError, match="empty"):
        page.view_counter.increment(operation="")


def test_a_flush_after_the_connection_broke_connects_again(page: Page) -> None:
    Page.view_counter.increment(page.pk)
    connection.ensure_connection()
    connection.connection.close()
    broken = Page.view_counter.flush()
    assert "closed" in str(broken.errors)
    assert Page.view_counter.flush().rows == 1


def test_a_flush_that_fails_leaves_a_sound_connection_open(page: Page) -> None:
    Page.view_counter.increment(page.pk)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        before = cursor.fetchone()
        cursor.execute("ALTER TABLE testapp_page RENAME COLUMN views TO seen")
    try:
        assert Page.view_counter.flush().errors
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE testapp_page RENAME COLUMN seen TO views")
            cursor.execute("SELECT pg_backend_pid()")
            after = cursor.fetchone()
    assert after == before
    assert Page.view_counter.flush().rows == 1
