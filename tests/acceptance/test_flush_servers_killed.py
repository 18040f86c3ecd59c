"""Servers are killed in the middle of flushes, and come back: each increment counts once."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings
from django.db import connection
from django.db.utils import ConnectionHandler
from django.test import override_settings

from django_cachepatterns.hooks import FLUSH_STEPS
from django_cachepatterns.stores import buffers
from django_cachepatterns.write_behind.counter import CounterBuffer
from example_project.config.database import database_from_url
from example_project.servers import Valkey, running_valkey
from example_project.servers.postgres import Postgres, running_postgres
from example_project.servers.reaper import start_reaper
from tests.testapp.models import Page

from .flushes import ground
from .flushes.manner import Manner
from .flushes.plans import (
    PAUSED_VALKEY,
    POSTGRES,
    UNHEARD_COMMIT,
    VALKEY,
    Plan,
    made_plans,
)
from .flushes.restored import ACTIVE, APPLIED, SEALED, Restored
from .flushes.run import Run
from .flushes.sabotage import SABOTAGES
from .flushes.verdict import Verdict
from .history.scene import Scene

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

ROUNDS = 10
"""How often something is looked for that is found in one round, unless the machine is busy."""
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


@pytest.fixture
def restored(durable_valkey: Valkey, folder: Path) -> Iterator[Restored]:
    """A counter in this process, on a server whose data may be put back."""
    ground.lay(connection)
    cache = {**settings.CACHES["default"], "LOCATION": durable_valkey.url}
    with override_settings(CACHES={"default": cache}):
        yield Restored(durable_valkey, CounterBuffer(Page, "views", batch_rows=3), folder / "copy")


def test_valkey_killed_at_each_step_and_back_from_its_append_only_file(
    durable_valkey: Valkey,
) -> None:
    ground.lay(connection)
    plans = made_plans(2, FLUSH_STEPS, target=VALKEY)
    plans += made_plans(1, FLUSH_STEPS, seed=2, target=PAUSED_VALKEY)
    run = Run(_mixed(plans), servers={VALKEY: durable_valkey}, manner=Manner(strict=True))
    verdict = run.carried_out(_hasty())
    _assert_that_each_increment_counted_once(verdict)
    assert verdict.outages == {VALKEY: 2 * len(FLUSH_STEPS), PAUSED_VALKEY: len(FLUSH_STEPS)}
    counts = verdict.tally.counts
    assert counts["direct"] > 10, verdict.text()
    assert counts["outcomes unknown"] > 10, verdict.text()


def test_operation_ids_are_missed(durable_valkey: Valkey) -> None:
    for seed in range(ROUNDS):
        ground.lay(connection)
        plans = made_plans(2, ["sealed", "applied"], seed=seed, target=PAUSED_VALKEY)
        manner = Manner(strict=True, missing="without operations")
        run = Run(plans, servers={VALKEY: durable_valkey}, manner=manner)
        verdict = run.carried_out(_hasty())
        print(verdict.text())
        assert not verdict.others
        if sum(verdict.differences.values()) > 0:
            return
    pytest.fail("Nothing was found: a test that cannot fail.")


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


@pytest.mark.parametrize("state", [ACTIVE, SEALED, APPLIED])
def test_valkey_is_put_back_to_an_old_copy(restored: Restored, state: str) -> None:
    restored.put_back(state)
    assert restored.live() == restored.counted
    restored.count_and_flush()
    assert _in_database() == restored.live() == restored.counted


def test_without_epochs_what_is_counted_into_restored_batches_is_lost(
    restored: Restored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buffers, "script", buffers.script)  # It is put back at the end.
    SABOTAGES["without epoch"]()
    restored.put_back(ACTIVE)
    restored.count_and_flush()
    assert sum(_in_database().values()) < restored.counted.total()


def test_with_ids_at_sealing_restored_batches_are_applied_twice(
    restored: Restored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buffers, "script", buffers.script)
    SABOTAGES["with ids at sealing"]()
    restored.put_back(ACTIVE)
    restored.count_and_flush()
    assert sum(_in_database().values()) > restored.counted.total()


def _in_database() -> dict[int, int]:
    return dict(Page.objects.nocache().filter(pk__lte=3).values_list("pk", "views"))


def _assert_that_each_increment_counted_once(verdict: Verdict) -> None:
    print(verdict.text())
    assert not verdict.others
    assert verdict.differences == {}
    assert sum(verdict.account.values.values()) == sum(verdict.acknowledged.values())
    assert verdict.account.live == verdict.account.values
    assert (verdict.account.pending, verdict.account.leftovers) == (0, [])
    assert not verdict.tally.examples, verdict.tally.examples


def _hasty() -> Scene:
    """A server that does not answer is soon given up: that makes for outcomes that are unknown."""
    return Scene.here(TIMEOUT=0.1)


def _mixed(plans: list[Plan]) -> list[Plan]:
    return sorted(plans, key=lambda plan: plan.seed)


@contextmanager
def _connected(server: Postgres) -> Iterator[object]:
    handler = ConnectionHandler({"default": database_from_url(server.url)})
    try:
        yield handler["default"]
    finally:
        handler["default"].close()
