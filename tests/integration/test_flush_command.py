"""`manage.py flush_write_behind`, once and in a loop, and `prune_ledger`."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import Model
from django.utils import timezone

from django_cachepatterns.stores import RedisStore
from django_cachepatterns.stores.buffers import RedisBuffers
from django_cachepatterns.stores.pool import make_pool
from django_cachepatterns.testing import outage
from django_cachepatterns.write_behind import patience
from django_cachepatterns.write_behind.records import DeadLetter, DirectWrite, LedgerEntry
from example_project.servers import Valkey
from tests.processes import Program, program, run
from tests.processes.relay import relay
from tests.testapp.models import Page, Visit

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

COMMAND = ("-m", "django", "flush_write_behind")


@pytest.fixture
def page() -> Page:
    return Page.objects.create(title="a")


def in_database(page: Page) -> int:
    return Page.objects.nocache().values_list("views", flat=True).get(pk=page.pk)


def flushed(*arguments: str) -> list[str]:
    out = StringIO()
    call_command("flush_write_behind", *arguments, stdout=out, skip_checks=True)
    return out.getvalue().splitlines()


def test_it_says_what_it_did(page: Page) -> None:
    Page.view_counter.increment_many({page.pk: 2, page.pk + 1: 9})
    Page.like_counter.increment(page.pk, -1)
    lines = flushed("testapp.page.views", "testapp.Page.likes")
    assert lines == [
        "testapp.Page.views: 1 batch, 1 row changed, 1 dropped (their rows are gone); "
        "nothing waits.",
        "testapp.Page.likes: 1 batch, 0 rows changed, 1 refused (see retry_dead_letters --list); "
        "nothing waits.",
    ]
    assert in_database(page) == 2


def test_it_says_so_in_one_json_document(page: Page) -> None:
    Page.view_counter.increment_many({page.pk: 2, page.pk + 1: 9})
    (line,) = flushed("testapp.Page.views", "--json")
    report = json.loads(line)["buffers"]["testapp.Page.views"]
    assert report == {
        "batches": 1,
        "rows": 1,
        "dropped": 1,
        "refused": 0,
        "error": None,
        "waiting": 0,
    }


def test_where_it_fails_the_document_says_why(page: Page) -> None:
    out = StringIO()
    with outage(), pytest.raises(CommandError):
        call_command("flush_write_behind", "testapp.Page.views", "--json", stdout=out)
    report = json.loads(out.getvalue())
    assert "outage" in report["error"]
    assert report["buffers"]["testapp.Page.views"]["waiting"] is None


def test_all_buffers_where_none_is_named(page: Page) -> None:
    visit = Visit.objects.create()
    Page.view_counter.increment(page.pk)
    visit.hit_counter.increment()
    assert {line.partition(":")[0] for line in flushed()} >= {
        "testapp.Page.views",
        "testapp.Visit.hits",
    }
    visit.refresh_from_db()
    assert (in_database(page), visit.hits) == (1, 1)


def test_an_unknown_name_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(CommandError, match=r"'nothing'.*testapp\.Page\.views") as failed:
        flushed("nothing")
    assert failed.value.returncode == 2


@pytest.mark.parametrize(
    "arguments", [["--every=3"], ["--loop", "--every=0"], ["--loop", "--every=inf"]]
)
def test_every_is_of_the_loop(arguments: list[str]) -> None:
    with pytest.raises(CommandError, match="--every") as failed:
        flushed(*arguments)
    assert failed.value.returncode == 2


def test_what_another_flusher_holds_is_waited_for_and_flushed(page: Page) -> None:
    Page.view_counter.increment(page.pk)
    assert Page.view_counter.server().claim(Page.view_counter.keys(), b"another", 300)
    assert "nothing waits" in flushed("testapp.Page.views")[0]
    assert in_database(page) == 1


def test_another_flusher_is_not_waited_for_for_ever(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience.flush_in_turn, "__defaults__", (0.2,))
    Page.view_counter.increment(page.pk)
    assert Page.view_counter.server().claim(Page.view_counter.keys(), b"another", 60_000)
    out = StringIO()
    with pytest.raises(CommandError, match="views: another flusher is at it"):
        call_command("flush_write_behind", "testapp.Page.views", stdout=out)
    assert "1 row waiting" in out.getvalue()


def test_without_the_server_it_fails_and_says_why(page: Page) -> None:
    out = StringIO()
    with outage(), pytest.raises(CommandError, match=r"views: .*outage") as failed:
        call_command("flush_write_behind", "testapp.Page.views", stdout=out, skip_checks=True)
    assert failed.value.returncode == 1
    assert "what waits cannot be seen" in out.getvalue()


def test_without_the_database_it_exits_with_1_and_says_what_waits(page: Page) -> None:
    Page.view_counter.increment(page.pk)
    away = "postgres://postgres@127.0.0.1:1/postgres"
    ended = run(*COMMAND, "testapp.Page.views", "--skip-checks", DATABASE_URL=away)
    assert ended.returncode == 1
    assert "1 row waiting" in ended.stdout
    assert "Not everything could be flushed" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert Page.view_counter.pending() == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_loop_ends_with_a_last_flush(page: Page, tmp_path: Path, number: int) -> None:
    with program(tmp_path / "said", *COMMAND, "--loop", "--every=0.1") as loop:
        loop.wait_for("Flushing ")
        Page.view_counter.increment(page.pk, 3)
        loop.wait_until(lambda: in_database(page) == 3)
        Page.view_counter.increment(page.pk, 4)
        loop.wait_until(lambda: in_database(page) == 7)
        loop.tell(number)
        assert loop.wait() == 0
    assert "Ended, after a last flush" in loop.said()


def test_the_loop_flushes_each_buffer_by_its_own_time_and_drains_at_its_end(
    page: Page, tmp_path: Path
) -> None:
    """Their own is five seconds: what is counted after the first flush is the last one's."""
    with program(tmp_path / "said", *COMMAND, "testapp.Page.views", "--loop") as loop:
        Page.view_counter.increment(page.pk, 3)
        loop.wait_until(lambda: in_database(page) == 3)
        Page.view_counter.increment(page.pk, 4)
        loop.tell(signal.SIGTERM)
        assert loop.wait() == 0
    assert in_database(page) == 7
    assert "1 batch, 1 row changed" in loop.said()


def complaints(loop: Program, about: str) -> int:
    return loop.said().count(f"testapp.Page.views {about}")


def outlives(
    loop: Program, away: Callable[[], object], back: Callable[[], object], count: Callable[[], int]
) -> None:
    """An outage of some tries is said once, and the loop goes on after it."""
    away()
    loop.wait_until(lambda: complaints(loop, "cannot be flushed") == 1)
    began = timezone.now()
    loop.wait_until(lambda: timezone.now() - began > timedelta(seconds=2.5))
    back()
    loop.wait_until(lambda: complaints(loop, "is flushed again") == 1)
    assert complaints(loop, "cannot be flushed") == 1
    assert count() > 0


def test_the_loop_outlives_the_buffer_server(
    page: Page, tmp_path: Path, own_valkey: Valkey, settings: Any
) -> None:
    cache = {**settings.CACHES["default"], "LOCATION": own_valkey.url}
    settings.CACHES = {**settings.CACHES, "default": cache}

    def count() -> int:
        Page.view_counter.increment(page.pk, 3)
        loop.wait_until(lambda: in_database(page) >= 3)
        return in_database(page)

    arguments = (*COMMAND, "testapp.Page.views", "--loop", "--every=0.1")
    with program(tmp_path / "said", *arguments, REDIS_URL=own_valkey.url) as loop:
        loop.wait_for("Flushing ")
        outlives(loop, own_valkey.kill, own_valkey.start, count)
        loop.tell(signal.SIGTERM)
        assert loop.wait() == 0
    assert in_database(page) == 3


def test_the_loop_outlives_the_database(page: Page, tmp_path: Path) -> None:
    found = connection.settings_dict
    with relay(found["HOST"], found["PORT"]) as way:
        url = f"postgres://postgres@127.0.0.1:{way.port}/postgres"
        arguments = (*COMMAND, "testapp.Page.views", "--loop", "--every=0.1")
        with program(tmp_path / "said", *arguments, DATABASE_URL=url) as loop:
            Page.view_counter.increment(page.pk, 3)
            loop.wait_until(lambda: in_database(page) == 3)

            def away() -> None:
                way.cut()
                Page.view_counter.increment(page.pk, 4)

            def count() -> int:
                loop.wait_until(lambda: in_database(page) == 7)
                return 1

            outlives(loop, away, way.open, count)
            loop.tell(signal.SIGTERM)
            assert loop.wait() == 0
    assert (in_database(page), Page.view_counter.pending()) == (7, 0)


def test_prune_ledger_says_how_many(page: Page) -> None:
    Page.view_counter.increment(page.pk)
    Page.view_counter.flush()
    LedgerEntry.objects.update(applied_at=timezone.now() - timedelta(days=8))
    out = StringIO()
    call_command("prune_ledger", stdout=out, skip_checks=True)
    assert out.getvalue() == "default: applied batches forgotten: 1.\n"
    out = StringIO()
    call_command("prune_ledger", "--json", stdout=out, skip_checks=True)
    assert json.loads(out.getvalue()) == {"forgotten": {"default": 0}}
    with outage(), pytest.raises(CommandError, match="Nothing was pruned"):
        call_command("prune_ledger", stdout=out, skip_checks=True)


@contextmanager
def without(model: type[Model]) -> Iterator[None]:
    """A database in which a table was not migrated."""
    table = model._meta.db_table
    with connection.schema_editor() as editor:
        editor.alter_db_table(model, table, f"{table}_elsewhere")
    try:
        yield
    finally:
        with connection.schema_editor() as editor:
            editor.alter_db_table(model, f"{table}_elsewhere", table)


@pytest.mark.parametrize(
    ("command", "table", "said"),
    [
        ("flush_write_behind", LedgerEntry, "What waits goes on waiting"),
        ("retry_dead_letters", DeadLetter, "Dead letters cannot be read"),
        ("prune_ledger", DirectWrite, "Nothing was pruned"),
    ],
)
def test_who_has_not_migrated_is_told_to(
    page: Page, command: str, table: type[Model], said: str
) -> None:
    Page.view_counter.increment(page.pk)
    with without(table), pytest.raises(CommandError, match=said) as failed:
        call_command(command, stdout=StringIO(), skip_checks=True)
    assert table._meta.db_table in str(failed.value)
    assert "django_cachepatterns are not there: run migrate" in str(failed.value)
    assert Page.view_counter.pending() == 1
    assert Page.view_counter.flush().rows == 1


def test_a_table_of_the_project_that_is_missing_is_not_the_app_s(page: Page) -> None:
    Page.view_counter.increment(page.pk)
    with without(Page):
        ((_, reason),) = Page.view_counter.flush().errors
    assert "testapp_page" in reason
    assert "run migrate" not in reason


def test_what_a_server_says_of_itself(own_valkey: Valkey, settings: Any) -> None:
    cache = {**settings.CACHES["default"], "LOCATION": own_valkey.url}
    settings.CACHES = {**settings.CACHES, "own": cache}
    server = RedisBuffers(RedisStore(make_pool("own", 1.0)))
    assert server.info("persistence")["aof_enabled"] == "0"
    assert server.setting("maxmemory-policy") == "noeviction"
    assert server.setting("no-such-thing") is None
