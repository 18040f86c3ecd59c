"""Servers are killed in the middle of flushes, and come back: each increment counts once."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from django.apps import apps
from django.db import connection
from django.db.utils import ConnectionHandler

from django_cachepatterns.hooks import FLUSH_STEPS
from example_project.config.database import database_from_url
from example_project.servers import Valkey, running_valkey
from example_project.servers.postgres import Postgres, running_postgres
from example_project.servers.reaper import start_reaper

from .flushes import ground
from .flushes.plans import (
    PAUSED_VALKEY,
    POSTGRES,
    UNHEARD_COMMIT,
    VALKEY,
    Plan,
    made_plans,
)
from .flushes.run import Run
from .flushes.verdict import Verdict
from .history.scene import Scene

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

TABLES = (
    "testapp.Shelf",
    "testapp.Page",
    "django_cachepatterns.LedgerEntry",
    "django_cachepatterns.DeadLetter",
)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose servers do not outlive the test, whatever becomes of it."""
    with tempfile.TemporaryDirectory(prefix="flushes-") as name:
        path = Path(name).resolve()
        with start_reaper(path, remove=False):
            yield path


@pytest.fixture
def durable_valkey(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Valkey]:
    """A Valkey that keeps what it acknowledges; processes that are started now use it."""
    with running_valkey(folder, durable=True) as server:
        monkeypatch.setenv("REDIS_URL", server.url)
        yield server


@pytest.fixture
def durable_postgres(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Postgres]:
    """The same of PostgreSQL, with the tables that are needed."""
    with running_postgres(folder) as server:
        monkeypatch.setenv("DATABASE_URL", server.url)
        with _connected(server) as own, own.schema_editor() as editor:
            for name in TABLES:
                editor.create_model(apps.get_model(name))
        yield server


def test_valkey_killed_at_each_step_and_back_from_its_append_only_file(
    durable_valkey: Valkey,
) -> None:
    ground.lay(connection)
    plans = made_plans(2, FLUSH_STEPS, target=VALKEY)
    plans += made_plans(1, FLUSH_STEPS, seed=2, target=PAUSED_VALKEY)
    run = Run(_mixed(plans), servers={VALKEY: durable_valkey}, strict=True)
    verdict = run.carried_out(Scene.here())
    _assert_that_each_increment_counted_once(verdict)
    assert verdict.outages == {VALKEY: 2 * len(FLUSH_STEPS), PAUSED_VALKEY: len(FLUSH_STEPS)}
    counts = verdict.tally.counts
    assert counts["direct"] > 10, verdict.text()
    assert counts["outcomes unknown"] > 10, verdict.text()


def test_postgres_killed_at_each_step_in_the_middle_of_batches(durable_postgres: Postgres) -> None:
    with _connected(durable_postgres) as own:
        ground.lay(own)
    plans = made_plans(2, FLUSH_STEPS, target=POSTGRES)
    plans += made_plans(6, ["applied"], seed=2, target=UNHEARD_COMMIT)
    run = Run(_mixed(plans), servers={POSTGRES: durable_postgres})
    verdict = run.carried_out(replace(Scene.here(TIMEOUT=10), database="postgres"))
    _assert_that_each_increment_counted_once(verdict)
    assert verdict.outages == {POSTGRES: 2 * len(FLUSH_STEPS), UNHEARD_COMMIT: 6}
    counts = verdict.tally.counts
    assert not counts["direct"] + counts["unknown"], verdict.text()
    assert len(verdict.failures) > 20, verdict.text()


def _assert_that_each_increment_counted_once(verdict: Verdict) -> None:
    print(verdict.text())
    assert not verdict.others
    assert verdict.differences == {}
    assert sum(verdict.account.values.values()) == sum(verdict.acknowledged.values())
    assert verdict.account.live == verdict.account.values
    assert (verdict.account.pending, verdict.account.leftovers) == (0, [])
    assert not verdict.tally.examples, verdict.tally.examples


def _mixed(plans: list[Plan]) -> list[Plan]:
    return sorted(plans, key=lambda plan: plan.seed)


@contextmanager
def _connected(server: Postgres) -> Iterator[object]:
    handler = ConnectionHandler({"default": database_from_url(server.url)})
    try:
        yield handler["default"]
    finally:
        handler["default"].close()
