"""`manage.py cache_stats`: what all processes have sent."""

from __future__ import annotations

import json
import signal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from django_cachepatterns.metrics import flushing
from django_cachepatterns.testing import outage
from tests.processes import program, run
from tests.testapp.models import Item, Page

pytestmark = pytest.mark.django_db(transaction=True)

COMMAND = ("-m", "django", "cache_stats", "--skip-checks")


def shown(*arguments: str) -> str:
    out = StringIO()
    call_command("cache_stats", *arguments, stdout=out, stderr=StringIO(), skip_checks=True)
    return out.getvalue()


def refused(*arguments: str, code: int) -> str:
    """What the command says on its way out."""
    out = StringIO()
    with pytest.raises(CommandError) as failed:
        call_command("cache_stats", *arguments, stdout=out, stderr=StringIO(), skip_checks=True)
    assert failed.value.returncode == code
    if "--json" in arguments:
        assert json.loads(out.getvalue())["error"] == str(failed.value)
    return str(failed.value)


@pytest.fixture(autouse=True)
def _sent_by_others() -> None:
    """What earlier tests have counted is no part of these."""
    flushing.flush()
    call_command("flush_cache", "--all", "--yes", stdout=StringIO(), skip_checks=True)


def load(hits: int) -> Item:
    """One miss, and so many hits."""
    item = Item.objects.create(name="a", slug="a")
    for _ in range(hits + 1):
        Item.objects.get(pk=item.pk)
    return item


def of_item(report: dict[str, Any]) -> dict[str, Any]:
    return report["policies"]["testapp.item"]


def test_the_figures_are_those_of_a_counted_load() -> None:
    before = json.loads(shown("--json"))["policies"].get("testapp.item", {})
    load(99)
    flushing.flush()
    after = of_item(json.loads(shown("--json")))
    assert after["reads"] - before.get("reads", 0) == 100
    assert after["served"] - before.get("served", 0) == 99
    assert after["sql_saved"] - before.get("sql_saved", 0) == 99
    assert after["hit_rate"] == after["served"] / after["reads"]
    assert 0 < after["seconds"]["hit"]["p50"] <= after["seconds"]["hit"]["p99"]
    assert after["seconds"]["load"]["p50"] > 0


def line_of(name: str, text: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(name + " "))


def test_a_table_marks_what_serves_too_little() -> None:
    load(400)
    for pk in range(10**9, 10**9 + 100):
        Page.objects.filter(pk=pk).first()
    flushing.flush()
    text = shown()
    assert "! " not in line_of("testapp.item", text)
    assert "! " in line_of("testapp.page", text)
    assert "serves less than 80%" in text


def test_the_backlog_of_write_behind() -> None:
    page = Page.objects.create(title="a")
    Page.view_counter.increment(page.pk, 3)
    report = json.loads(shown("--json"))["buffers"]["testapp.Page.views"]
    assert report["waiting"] == 1
    assert report["oldest_seconds"] >= 0
    assert line_of("testapp.Page.views", shown()).split()[1] == "1"
    Page.view_counter.flush()
    flushing.flush()
    after = json.loads(shown("--json"))["buffers"]["testapp.Page.views"]
    assert after["waiting"] == 0
    assert after["flushed"] == report["flushed"] + 1


def test_one_policy_in_any_case() -> None:
    load(3)
    flushing.flush()
    report = json.loads(shown("--json", "--policy=testapp.Item"))
    assert list(report["policies"]) == ["testapp.item"]
    assert report["buffers"] == {}
    assert list(json.loads(shown("--json", "--policy=testapp.page.views"))["buffers"]) == [
        "testapp.Page.views"
    ]


def test_without_figures_it_says_what_to_look_at(settings: Any) -> None:
    settings.CACHEPATTERNS = {**settings.CACHEPATTERNS, "KEY_PREFIX": "cpt-of-nobody"}
    text = shown("--range=hour")
    assert "Nothing was read in the last hour" in text
    assert "'cpt-of-nobody'" in text
    assert "'nothing'" in shown("--policy=nothing")
    settings.CACHEPATTERNS = {**settings.CACHEPATTERNS, "METRICS": False}
    assert "METRICS'] is False" in shown()
    assert json.loads(shown("--json"))["metrics"] is False


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_what_makes_no_sense_is_refused_with_2(flags: list[str]) -> None:
    assert "15m, hour, day" in refused("--range=week", *flags, code=2)
    for every in ("0", "-1", "nan", "inf"):
        assert "--every" in refused("--watch", f"--every={every}", code=2)
    assert "--watch" in refused("--watch", "--json", code=2)


def test_without_the_server_it_exits_with_1() -> None:
    with outage():
        assert "CACHES['default']" in refused("--json", code=1)


def test_it_is_watched_until_ctrl_c(tmp_path: Path) -> None:
    with program(tmp_path / "said", *COMMAND, "--watch", "--every=0.05") as watching:
        watching.wait_until(lambda: watching.said().count("The last 15m") >= 2)
        load(3)
        flushing.flush()
        watching.wait_for("testapp.item ")
        watching.tell(signal.SIGINT)
        assert watching.wait() == 0
    assert "Traceback" not in watching.said()


def test_as_a_program() -> None:
    ended = run(*COMMAND, "--json")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert json.loads(ended.stdout)["range"] == "15m"
