"""Audits while writers are busy accuse nobody."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from django_cachepatterns import audit
from tests.testapp.models import Item, WrittenPiece

from .audits.crowd import ACTS
from .audits.ground import KEYS, lay
from .audits.naive import naive
from .history.crew import Job, at_work, spawn
from .history.scene import Scene

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

PROCESSES = 2
AUDITS = 60
FALSE = 10
"""How many false findings of a naive auditor say that the writers are busy enough."""
PATIENCE = 120.0


def test_no_false_finding_while_writers_are_busy() -> None:
    lay()
    stop = spawn.Event()
    jobs = [Job("tests.acceptance.audits.crowd:busy", (stop, seed)) for seed in range(PROCESSES)]
    compared: Counter[str] = Counter()
    skipped: Counter[str] = Counter()
    false, audits, ends = 0, 0, time.monotonic() + PATIENCE
    with at_work(Scene.here(), jobs) as crew:
        while (audits < AUDITS or false < FALSE) and time.monotonic() < ends:
            report = audit.audit(heal=audits % 5 == 4)
            assert not report.findings, [str(each) for each in report.findings]
            compared.update({name: number for name, (number, _) in report.by_family.items()})
            skipped.update(report.skipped)
            audits += 1
            for model in (Item, WrittenPiece) * 4:
                false += naive(model, KEYS)
        stop.set()
        done: Counter[str] = Counter()
        for result in crew.results(60):
            done.update(result)
    print(f"{audits} audits, naive: {false} false findings.\n{compared}\n{skipped}\n{done}")
    assert audits >= AUDITS
    assert false >= FALSE, "the writers were not busy enough for this to show anything"
    _assert_that_everything_was_tried(compared, skipped, done)
    assert not done["lists accused"]
    assert done["lists"] > 20, done
    assert audit.audit().is_consistent


def _assert_that_everything_was_tried(
    compared: Counter[str], skipped: Counter[str], done: Counter[str]
) -> None:
    for name in ("item", "writtenpiece", "versioned", "page", "cafe", "uuidrow"):
        assert compared[f"testapp.{name}"] > 20, compared
    assert compared["audited titles"] > 20, compared
    assert skipped["being written"] > 0, skipped
    assert done["rolled back"] > 0, done
    for act in ACTS:
        assert done[act.__name__] > 0, done
