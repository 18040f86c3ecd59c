"""`manage.py cache_doctor`: what is wrong is found, and nothing else."""

from __future__ import annotations

import json
import re
from io import StringIO
from pathlib import Path
from typing import Any
from weakref import WeakSet

import pytest
import redis
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from django_cachepatterns import cache_aside, diagnosis, values
from django_cachepatterns.diagnosis import Finding, Level, write_behind
from django_cachepatterns.metrics import flushing
from django_cachepatterns.write_behind.records import DeadLetter, DirectWrite
from example_project.servers import Valkey
from tests.processes import run
from tests.testapp.models import Item, Page

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


@pytest.fixture(autouse=True)
def _durable(settings: Any) -> None:
    """The server of the tests keeps nothing on disk, which is what W007 says."""
    settings.SILENCED_SYSTEM_CHECKS = ["cachepatterns.W007"]


@pytest.fixture(autouse=True)
def _nothing_of_other_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Functions that depend on models of theirs which are no more."""
    monkeypatch.setattr(values, "_declared", WeakSet())


@pytest.fixture
def own(own_valkey: Valkey, settings: Any) -> redis.Redis:
    """A bare connection to a server of the test's own, which is the cache now."""
    cache = {**settings.CACHES["default"], "LOCATION": own_valkey.url}
    settings.CACHES = {**settings.CACHES, "default": cache}
    return redis.Redis.from_url(own_valkey.url)


def configured(settings: Any, **changes: Any) -> None:
    settings.CACHEPATTERNS = {**settings.CACHEPATTERNS, **changes}


def found(level: Level | None = None) -> list[Finding]:
    return [each for each in diagnosis.diagnose() if level in (None, each.level)]


def only(level: Level, about: str) -> Finding:
    """The one finding of a level about something."""
    (one,) = [each for each in found(level) if each.about == about]
    return one


def test_where_nothing_is_wrong_it_says_what_there_is() -> None:
    every = found()
    assert {each.about for each in every} >= {
        *("what is cached", "cache server", "protocol", "write-behind"),
        *("database 'default'", "figures"),
    }
    assert [each for each in every if each.level is Level.WRONG] == []
    assert [each for each in every if each.level is not Level.FINE and not each.remedy] == []


def test_the_trial_leaves_nothing_behind(redis_client: redis.Redis) -> None:
    found()
    assert list(redis_client.scan_iter("*:trial:*")) == []


def test_the_command_prints_it_and_exits_with_0() -> None:
    out = StringIO()
    call_command("cache_doctor", stdout=out)
    assert "ok      protocol: The server does all that is asked of it" in out.getvalue()
    assert "Nothing is wrong." in out.getvalue()


def test_one_json_document_and_1_where_something_is_wrong(settings: Any) -> None:
    cache = {**settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:1/0"}
    settings.CACHES = {**settings.CACHES, "default": cache}
    out = StringIO()
    with pytest.raises(CommandError, match=r"Wrong: [1-9]") as failed:
        call_command("cache_doctor", "--json", stdout=out)
    assert failed.value.returncode == 1
    report = json.loads(out.getvalue())
    assert report["counts"]["wrong"] >= 1
    texts = [each["text"] for each in report["findings"] if each["level"] == "wrong"]
    assert any("CACHES['default'] does not answer" in text for text in texts)


def test_warnings_are_1_with_strict(settings: Any) -> None:
    configured(settings, METRICS=False)
    call_command("cache_doctor", stdout=StringIO())
    with pytest.raises(CommandError):
        call_command("cache_doctor", "--strict", stdout=StringIO())


def test_as_a_program() -> None:
    ended = run("-m", "django", "cache_doctor", "--json")
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["counts"]["wrong"] == 0


# What it finds


def test_wrong_settings_and_policies(settings: Any) -> None:
    configured(settings, POLICIES={"testapp.Item": {"tll": 3}})
    depending = cache_aside(depends_on=[Item])(lambda: 1)
    assert depending is not None
    wrong = {each.check: each for each in found(Level.WRONG)}
    assert wrong["cachepatterns.E001"].about == "testapp.Item"
    configured(settings, POLICIES={}, TIMOUT=1)
    assert [each.check for each in found(Level.WRONG)] == ["cachepatterns.E021"]


def test_a_cache_that_is_off(settings: Any) -> None:
    configured(settings, ENABLED=False)
    assert "ENABLED" in only(Level.WARNING, "what is cached").text


def test_a_replica(own: redis.Redis) -> None:
    own.execute_command("REPLICAOF", "127.0.0.1", "1")
    wrong = found(Level.WRONG)
    assert any("is a replica" in each.text for each in wrong)
    assert any("lease and fill" in each.text for each in wrong if each.about == "protocol")


def test_a_user_without_a_right(own: redis.Redis, settings: Any) -> None:
    own.execute_command("ACL", "SETUSER", "default", "-scan")
    assert "scan" in only(Level.WRONG, "protocol").text
    own.execute_command("ACL", "SETUSER", "default", "+scan", "-evalsha", "-eval")
    assert any("lease and fill" in each.text for each in found(Level.WRONG))


def test_nothing_for_a_user_with_the_rights_that_the_settings_page_names(own: redis.Redis) -> None:
    page = (Path(__file__).parents[2] / "docs/reference/settings.md").read_text("utf-8")
    (rights,) = re.findall(r"`ACL SETUSER [^`]*(~\*[^`]*)`", page)
    own.execute_command("ACL", "SETUSER", "default", "-@all", *rights.split())
    with pytest.raises(redis.exceptions.NoPermissionError):
        own.flushall()
    assert found(Level.WRONG) == []
    row = Page.objects.create(title="a")
    Page.view_counter.increment(row.pk)
    Page.view_counter.flush()
    assert Page.objects.get(pk=row.pk).views == 1
    assert found(Level.WRONG) == []


def test_a_server_that_refuses_when_it_is_full(own: redis.Redis) -> None:
    own.config_set("maxmemory", "1gb")
    assert "noeviction" in only(Level.WARNING, "cache server").text
    own.config_set("maxmemory-policy", "allkeys-lru")
    own.config_set("maxmemory", own.info("memory")["used_memory"])
    assert any("memory are used" in each.text for each in found(Level.WARNING))


def test_a_buffer_that_nobody_flushes(monkeypatch: pytest.MonkeyPatch) -> None:
    page = Page.objects.create(title="a")
    Page.view_counter.increment(page.pk)
    assert only(Level.FINE, "write-behind").text.endswith("1 row waiting, none for too long.")
    monkeypatch.setattr(write_behind, "LATE", 0)
    monkeypatch.setattr(write_behind, "SHORTEST", -1)
    late = [each for each in found(Level.WRONG) if each.about == "write-behind"]
    assert any("testapp.Page.views: 1 rows wait" in each.text for each in late)


def test_dead_letters() -> None:
    DeadLetter.objects.create(
        buffer="testapp.Page.likes",
        batch="00000000-0000-0000-0000-000000000001",
        member="1",
        payload="1",
        reason="no",
        refused_at=timezone.now(),
    )
    assert "testapp.Page.likes: 1" in only(Level.WARNING, "write-behind").text


def test_tables_that_are_not_there() -> None:
    table = DirectWrite._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} RENAME TO away")
        try:
            assert table in only(Level.WRONG, "database 'default'").text
        finally:
            cursor.execute(f"ALTER TABLE away RENAME TO {table}")


def test_a_database_that_reads_snapshots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "isolation_level", 3)
    assert "REPEATABLE READ" in only(Level.WARNING, "database 'default'").text


def test_a_clock_that_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    from django_cachepatterns.diagnosis import servers

    class Late:
        time = staticmethod(lambda: 1.0)

    monkeypatch.setattr(servers, "SYSTEM_CLOCK", Late())
    assert "ahead of" in only(Level.WARNING, "cache server").text


def test_what_the_figures_say() -> None:
    item = Item.objects.create(name="a", slug="a")
    for _ in range(10):
        Item.objects.get(pk=item.pk)
    flushing.flush()
    assert "reads in the last hour" in only(Level.FINE, "figures").text
