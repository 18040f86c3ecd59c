"""A run, from the first process to the verdict."""

from __future__ import annotations

from dataclasses import replace

from django.test import override_settings

from . import crew, leftovers
from .areas import are_about_items
from .crew import Job
from .examiner import Examiner
from .ground import ROWS, SLUGS, laid
from .judge import Judge
from .scene import Scene
from .subject import Subject, subject
from .tally import Tally
from .verdict import Verdict
from .witness import Witness
from .workload import Workload

READ = "tests.acceptance.history.readers:read"
WRITE = "tests.acceptance.history.writers:write"
WARM = "tests.acceptance.history.warmers:warm_and_drop"
SESSION_ENGINE = "django_cachepatterns.contrib.sessions"
PATIENCE = 60.0
"""Seconds that a process may take longer than the run."""


def check(workload: Workload, name: str, scene: Scene) -> Verdict:
    """Let readers and writers at a subject, and say what was found.

    Runs in a process that is set up, on an empty database, in which nobody else is at work.
    """
    jobs = [
        Job(READ, (workload, name, kind, number)) for number, kind in enumerate(workload.readers)
    ]
    jobs += [Job(WRITE, (workload, name, number)) for number in range(workload.writers)]
    jobs += [Job(WARM, (workload, name, number)) for number in range(workload.warmers)]
    if name != "control":  # Its engine is Django's own.
        scene = replace(scene, session_engine=SESSION_ENGINE)
    with override_settings(SESSION_ENGINE=scene.session_engine), laid(workload.areas):
        tallies = crew.run(scene, jobs, workload.seconds + PATIENCE)
        if name != "control":
            last = subject("cachepatterns", workload.areas)
            tallies += [_leftovers(), _last_look(last, workload)]
    return Verdict(workload, name, Tally.sum(tallies))


def _leftovers() -> Tally:
    from tests.testapp.models import Category, Item, Label, Piece, WrittenPiece

    return leftovers.compare(Item, Label, Category, Piece, WrittenPiece)


def _last_look(last: Subject, workload: Workload) -> Tally:
    """Everything once more, through the cache."""
    tally, witness = Tally(), Witness()
    if are_about_items(workload.areas):
        _look_at_items(last, witness, tally)
    examiner, floor = Examiner(witness.chronicle, tally), witness.chronicle.floor()
    for ask in last.asks:
        for argument in ask.arguments:
            how = f"last look: {ask.name}"
            examiner.examine(how, ask, argument, floor, ask.read(argument))
    witness.connection.close()
    return tally


def _look_at_items(last: Subject, witness: Witness, tally: Tally) -> None:
    judge = Judge(witness, tally)
    rows, slugs = witness.rows(ROWS), witness.slugs(SLUGS)
    for pk, noted in rows.items():
        judge.row("last look", pk, noted, last.read(pk))
    by_slug = next(way.read for way in last.ways if way.name == "get(slug=)")
    for slug, noted in slugs.items():
        judge.slug("last look", slug, noted, by_slug(slug))
