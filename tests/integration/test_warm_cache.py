"""`manage.py warm_cache`."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import redis
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_cachepatterns.conf import as_tenant, config
from django_cachepatterns.metrics import flushing
from django_cachepatterns.testing import outage
from tests.processes import program, run
from tests.testapp.models import Item, Shelf

pytestmark = pytest.mark.django_db(transaction=True)

COMMAND = ("-m", "django", "warm_cache", "--skip-checks")


def items(count: int) -> list[int]:
    made = [Item(name=f"n{n}", slug=f"s{n}", place=n, stock=n) for n in range(count)]
    return [item.pk for item in Item.objects.bulk_create(made)]


def warmed(*arguments: str) -> str:
    out = StringIO()
    call_command("warm_cache", *arguments, stdout=out, stderr=StringIO(), skip_checks=True)
    return out.getvalue()


def reported(*arguments: str) -> dict[str, Any]:
    return json.loads(warmed("--json", *arguments))


def refused(*arguments: str, code: int) -> str:
    """What the command says on its way out."""
    out = StringIO()
    with pytest.raises(CommandError) as failed:
        call_command("warm_cache", *arguments, stdout=out, stderr=StringIO(), skip_checks=True)
    assert failed.value.returncode == code
    if "--json" in arguments:
        assert json.loads(out.getvalue())["error"] == str(failed.value)
    return str(failed.value)


def test_it_says_what_it_did() -> None:
    pks = items(3)
    Item.objects.get(pk=pks[0])
    lines = warmed("testapp.Item").splitlines()
    assert lines[0] == "testapp.Item: 2 filled, 1 there already, 3 lookups filled."
    assert lines[1].startswith("3 rows in ")
    with CaptureQueriesContext(connection) as asked:
        Item.objects.in_bulk(pks)
    assert len(asked) == 0


def test_one_json_document() -> None:
    items(3)
    report = reported("testapp.item", "testapp.shelf", "--workers=2", "--limit=2")
    assert report["models"]["testapp.Item"]["filled"] == 2
    assert report["models"]["testapp.Shelf"]["looked_at"] == 0
    assert report["total"]["filled"] == 2
    assert report["finished"] is True


def test_an_app_and_everything(settings: Any) -> None:
    settings.CACHEPATTERNS = {
        **settings.CACHEPATTERNS,
        "POLICIES": {"testapp.Shelf": {"admit_after": 2}},
    }
    items(2)
    report = reported()
    assert report["models"]["testapp.Item"]["filled"] == 2
    assert "admit_after=2" in report["skipped"]["testapp.Shelf"]
    assert "admit_after=2" in refused("testapp", code=2)
    assert reported("--refresh")["models"]["testapp.Item"]["filled"] == 2


def test_what_makes_no_sense_is_refused_with_2(settings: Any) -> None:
    settings.CACHEPATTERNS = {
        **settings.CACHEPATTERNS,
        "POLICIES": {"testapp.Shelf": {"pattern": "cache_aside"}},
    }
    for flags in ([], ["--json"]):
        assert "testapp.Item" in refused("testapp.Nothing", *flags, code=2)
        assert "neither a model" in refused("nothing", *flags, code=2)
        assert "no such model" in refused("messages", *flags, code=2)
        assert "CachedModel" in refused("auth.Group", *flags, code=2)
        assert "cache_aside" in refused("testapp.Shelf", *flags, code=2)
        assert "limit is 0" in refused("--limit=0", *flags, code=2)
        assert "rate is -1" in refused("--rate=-1", *flags, code=2)
        assert "workers is 0" in refused("--workers=0", *flags, code=2)
        assert "resume" in refused("--hot", "--resume", *flags, code=2)
        assert "TENANT" in refused("--tenant=acme", *flags, code=2)
        assert "'nowhere'" in refused("--database=nowhere", *flags, code=2)
        assert "'default'" in refused("testapp.Item", "--database=other", *flags, code=2)
        assert "'other'" in refused("--database=other", *flags, code=2)


def test_only_models_of_a_database() -> None:
    items(1)
    assert reported("--database=default")["models"]["testapp.Item"]["filled"] == 1


def test_a_cache_that_is_off_is_said(settings: Any) -> None:
    settings.CACHEPATTERNS = {**settings.CACHEPATTERNS, "ENABLED": False}
    assert "ENABLED" in refused("testapp.Item", code=2)


def test_without_the_server_it_exits_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django_cachepatterns.warming.crew.PAUSES", ())
    items(1)
    with outage():
        said = refused("testapp.Item", "--json", code=1)
    assert "CACHES['default']" in said
    assert "--resume" in said


def test_without_the_database_it_exits_with_1() -> None:
    away = "postgres://postgres@127.0.0.1:1/postgres"
    ended = run(*COMMAND, "testapp.Item", "--json", DATABASE_URL=away)
    assert ended.returncode == 1
    assert "The database has failed" in json.loads(ended.stdout)["error"]
    assert "Traceback" not in ended.stderr


def test_hot_rows_alone(redis_client: redis.Redis, settings: Any) -> None:
    settings.CACHEPATTERNS = {
        **settings.CACHEPATTERNS,
        "METRICS": True,
        "POLICIES": {"testapp.Item": {"admit_after": 2}},
    }
    flushing.flush()
    for key in list(redis_client.scan_iter(f"{settings.KEY_PREFIX}:metrics:*")):
        redis_client.delete(key)  # What other tests have read is hot, too.
    pks = items(20)
    Shelf.objects.create(name="s")
    for _ in range(2000):
        Item.objects.get(pk=pks[3])
        Item.objects.get(slug="s5")
        assert Item.objects.filter(stock=1).cache().count() == 1
    flushing.flush()
    root = f"{config().key_space().root}:testapp.item:"
    redis_client.delete(f"{root}{pks[3]}", f"{root}{pks[5]}", f"{root}slug=s5")
    report = reported("--hot")
    assert report["models"]["testapp.Item"]["filled"] == 2
    assert report["unknown_keys"] >= 1
    assert "testapp.Shelf" not in report["models"]
    with CaptureQueriesContext(connection) as asked:
        Item.objects.get(pk=pks[3])
        Item.objects.get(slug="s5")
    assert len(asked) == 0


def test_nothing_hot() -> None:
    assert warmed("--hot").startswith("There was nothing to warm. No row was sampled as hot")


@pytest.fixture
def tenants(settings: Any) -> Iterator[None]:
    settings.CACHEPATTERNS = {**settings.CACHEPATTERNS, "TENANT": lambda: None}
    return


@pytest.mark.usefixtures("tenants")
def test_each_tenant_that_is_named(redis_client: redis.Redis) -> None:
    (pk,) = items(1)
    assert "--tenant" in refused("testapp.Item", code=2)
    report = reported("testapp.Item", "--tenant=acme", "--tenant=other")
    assert report["total"]["filled"] == 2
    assert {name: each["total"]["filled"] for name, each in report["tenants"].items()} == {
        "acme": 1,
        "other": 1,
    }
    with as_tenant("other"):
        assert redis_client.exists(f"{config().key_space().root}:testapp.item:{pk}")


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_a_progress_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    items(2500)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    warmed("testapp.Item")
    assert "testapp.Item [########################] 100%  2,500 of 2,500" in terminal.getvalue()
    assert terminal.getvalue().endswith(" \r")  # It is taken away.
    monkeypatch.setattr(sys, "stderr", quiet := Terminal())
    warmed("testapp.Item", "--no-progress")
    assert quiet.getvalue() == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_interrupted_goes_on_with_resume(tmp_path: Path, number: int) -> None:
    pks = items(3000)
    root = f"{config().key_space().root}:testapp.item:"

    def has_begun() -> bool:
        return Item.objects.nocache().exists() and there() >= 200

    def there() -> int:
        from django_cachepatterns.conf import config
        from django_cachepatterns.stores import store_of

        names = [f"{root}{pk}".encode() for pk in pks]
        return sum(data is not None for data in store_of(config()).get_many(names))

    arguments = (*COMMAND, "testapp.Item", "--rate=500", "--workers=2", "--json")
    with program(tmp_path / "said", *arguments) as warming:
        warming.wait_until(has_begun)
        warming.tell(number)
        assert warming.wait() == 1
    assert "--resume" in warming.said()
    before = there()
    assert 200 <= before < 3000
    report = reported("testapp.Item", "--resume")
    assert report["total"]["looked_at"] < 3000
    assert there() == 3000
