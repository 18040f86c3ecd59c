"""`audit_cache`, and the task that audits every few minutes."""

from __future__ import annotations

import json
import logging
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connections

from django_cachepatterns import audit, tasks
from django_cachepatterns.tasks.auditing import audit as audit_task
from example_project.servers import Valkey
from tests.integration.test_audit import behind_its_back, factor, key_of, scaled
from tests.testapp.models import Item

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def item() -> Item:
    item = Item.objects.create(name="one", slug="one")
    Item.objects.get(pk=item.pk)
    return item


def run(*args: str) -> tuple[int, str]:
    """The exit code that a shell would see, and what is on stdout."""
    out = StringIO()
    try:
        call_command("audit_cache", *args, stdout=out, stderr=StringIO())
    except CommandError as error:
        return error.returncode, out.getvalue()
    return 0, out.getvalue()


def own_cache(settings: Any, server: Valkey) -> None:
    backend = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": server.url}
    settings.CACHES = {**settings.CACHES, "own": backend}
    settings.CACHEPATTERNS = {**settings.CACHEPATTERNS, "CACHE": "own"}


def test_a_consistent_cache_exits_with_0(item: Item) -> None:
    code, out = run()
    assert code == 0
    assert "testapp.item: 1 compared, 0 wrong" in out
    assert "All 1 entries that were compared are as in the database." in out


def test_a_wrong_entry_exits_with_1_and_is_shown(item: Item) -> None:
    behind_its_back(Item, name="two")
    code, out = run()
    assert code == 1
    key = key_of(item).decode()
    assert f"{key}: name is 'one' in the cache and 'two' in the database" in out
    code, out = run("--hide-values")
    assert code == 1
    assert f"{key}: name differ" in out
    assert "'one'" not in out


def test_what_was_healed_is_said_and_right_the_next_time(item: Item) -> None:
    behind_its_back(Item, name="two")
    code, out = run("--heal")
    assert code == 1, "it was wrong, and readers have been served it"
    assert "(deleted)" in out
    assert run()[0] == 0
    assert Item.objects.get(pk=item.pk).name == "two"


def test_json_is_one_document(item: Item) -> None:
    behind_its_back(Item, name="two")
    code, out = run("--json")
    said = json.loads(out)
    assert code == 1
    assert (said["checked"], said["found"], said["is_complete"]) == (1, 1, True)
    assert said["findings"][0]["differences"] == [
        {"name": "name", "cached": "'one'", "database": "'two'"}
    ]
    assert "--heal" in said["error"]
    said = json.loads(run("--json", "--hide-values")[1])
    assert said["findings"][0]["differences"] == [{"name": "name"}]
    run("--heal")
    said = json.loads(run("--json")[1])
    assert "error" not in said
    assert said["found"] == 0


def test_loaders_are_called_where_that_is_asked_for(item: Item) -> None:
    factor[0] = 1
    scaled(3, "x")
    assert "not compared: 1, functions: not called again" in run()[1]
    assert "tests.integration.test_audit.scaled: 1 compared, 0 wrong" in run("--loaders")[1]


def test_chosen_models_and_samples(item: Item) -> None:
    behind_its_back(Item, name="two")
    assert run("testapp.Page")[0] == 0
    assert run("testapp.Item")[0] == 1
    assert run("--sample", "5", "--rate", "1000000")[0] == 1


@pytest.mark.parametrize(
    "args", [("nothing.Known",), ("--sample", "0"), ("--sample", "-1"), ("--rate", "0")]
)
def test_what_makes_no_sense_exits_with_2(args: tuple[str, ...]) -> None:
    assert run(*args)[0] == 2


def test_a_cache_that_is_away_exits_with_3(own_valkey: Valkey, settings: Any) -> None:
    own_cache(settings, own_valkey)
    own_valkey.kill()
    code, out = run("--json")
    assert code == 3
    assert "does not answer" in json.loads(out)["error"]


def test_a_database_that_is_away_exits_with_3(item: Item, settings: Any) -> None:
    connection = connections["default"]
    connection.close()
    port, connection.settings_dict["PORT"] = connection.settings_dict["PORT"], "1"
    try:
        code, out = run("--json")
    finally:
        connection.settings_dict["PORT"] = port
    assert code == 3
    assert "The database does not answer" in json.loads(out)["error"]


def test_more_findings_than_can_be_shown_are_counted() -> None:
    Item.objects.bulk_create(Item(name="x", slug=f"s{n}") for n in range(30))
    list(Item.objects.filter(pk__in=list(Item.objects.values_list("pk", flat=True))))
    behind_its_back(Item, name="y")
    code, out = run()
    assert code == 1
    assert out.count(" in the database\n") == 20
    assert "... and 10 more" in out


# The task


def test_the_task_audits_a_sample_and_keeps_what_it_found(item: Item) -> None:
    behind_its_back(Item, name="two")
    assert audit_task(sample=10) == {"checked": 1, "found": 1, "healed": 0}
    report = audit.last()
    assert report is not None
    assert (report.sample, report.found) == (10, 1)
    assert audit_task(heal=True)["healed"] == 1
    assert audit_task() == {"checked": 0, "found": 0, "healed": 0}


def test_the_task_says_so_where_the_cache_is_away(
    own_valkey: Valkey, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    own_cache(settings, own_valkey)
    own_valkey.kill()
    with caplog.at_level(logging.WARNING, "django_cachepatterns"):
        assert audit_task() == {}
    said: Any = caplog.records[-1]
    assert said.event == "audit_failed"


def test_it_is_in_the_schedule() -> None:
    entry = tasks.beat_schedule()["django_cachepatterns: audit a sample"]
    assert entry["task"] == audit_task.name
    assert entry["kwargs"] == {"sample": 1000}
