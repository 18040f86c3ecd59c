"""Warming models, querysets and hot keys."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from time import monotonic
from typing import Any

from django.db.models import QuerySet

from ..exceptions import PolicyError, StoreUnavailable
from ..orm.rows import CachedRows
from .chosen import Chosen, Target, choose, choose_all
from .chunks import Listed, walk_of
from .course import Course
from .crew import TROUBLES, Crew
from .estimate import estimated
from .filling import Filling
from .hot import hot_rows
from .pace import Pace
from .position import Position
from .reports import OnProgress, Tally, Warmed

MOST_WORKERS = 64


def warm(
    *targets: Target,
    limit: int | None = None,
    rate: float | None = None,
    workers: int = 1,
    refresh: bool = False,
    resume: bool = False,
    hot: bool = False,
    on_progress: OnProgress | None = None,
    stop: threading.Event | None = None,
) -> Warmed:
    """Load rows of models and querysets into the cache, with their lookups.

    Usable entries are left alone, which is cheap. It may run while others read and write.

    Args:
        targets: models, or querysets of them; none: every model that reads through. A queryset
            with an order or a slice is warmed in that order, and cannot be resumed.
        limit: the most rows of each target; with `hot`, the most keys of all.
        rate: the most rows a second, of all threads.
        workers: threads, each with a database connection of its own; one is this thread itself.
        refresh: load usable entries anew, too; readers are served the old ones meanwhile.
        resume: go on where a run over the same model that was interrupted has stopped.
        hot: only the rows that metrics have sampled as the hottest.
        on_progress: see `OnProgress`.
        stop: set it to end after the chunks that are under way.

    Raises `PolicyError` for what cannot be warmed (see `Unwarmable`), and for wrong numbers. What
    the servers do to it is in the result: `Warmed.error`.
    """
    _check(targets, limit, rate, workers, resume, hot)
    run = _Run(rate, workers, refresh, on_progress, stop or threading.Event())
    started = monotonic()
    if hot:
        found = hot_rows([choose(target, hot=True).rows for target in targets], limit)
        done = run.all([_Listed(rows, list(pks)) for rows, pks in found.pks.items()])
        done = replace(done, unknown_keys=found.unknown, error=found.error or done.error)
    else:
        chosen, skipped = choose_all() if not targets else (list(map(choose, targets)), {})
        done = run.all([_Whole(each, limit, resume) for each in chosen])
        done = replace(done, skipped=skipped)
    return replace(done, seconds=monotonic() - started)


class _Whole:
    """A model, or a queryset, that is to be warmed."""

    def __init__(self, chosen: Chosen, limit: int | None, resume: bool) -> None:
        self.rows, self._queryset = chosen.rows, chosen.queryset
        self._limit, self._resume = limit, resume

    def course(self, pace: Pace, on_progress: OnProgress | None) -> Course:
        """Raises `StoreUnavailable` and Django's database errors."""
        rows, queryset, limit = self.rows, self._queryset, self._limit
        position = Position(rows) if queryset is None else None
        place = position.load() if position is not None and self._resume else None
        expected = None
        if on_progress is not None:
            known = estimated(rows, queryset)
            expected = known if limit is None else min(known, limit)
        return Course(
            rows.model._meta.label,
            walk_of(rows, queryset, limit, place.after if place else None),
            pace,
            limit=limit,
            place=place,
            position=position,
            expected=expected,
            on_progress=on_progress,
        )


class _Listed:
    """Rows of a model that are to be warmed, by their primary keys."""

    def __init__(self, rows: CachedRows, pks: Sequence[Any]) -> None:
        self.rows, self._pks = rows, pks

    def course(self, pace: Pace, on_progress: OnProgress | None) -> Course:
        """See `_Whole`."""
        label, walk = self.rows.model._meta.label, Listed(self.rows, lambda: self._pks)
        return Course(label, walk, pace, expected=len(self._pks), on_progress=on_progress)


class _Run:
    """What is the same for all targets of a run."""

    def __init__(
        self,
        rate: float | None,
        workers: int,
        refresh: bool,
        on_progress: OnProgress | None,
        stop: threading.Event,
    ) -> None:
        self._pace = Pace(rate, stop)
        self._workers, self._refresh = workers, refresh
        self._on_progress, self._stop = on_progress, stop

    def all(self, wanted: Iterable[_Whole | _Listed]) -> Warmed:
        """Warm one after the other, until something ends it."""
        tallies: dict[str, Tally] = {}
        for each in wanted:
            label = each.rows.model._meta.label
            try:
                course = each.course(self._pace, self._on_progress)
                error = self._one(course, Filling(each.rows, self._refresh))
            except TROUBLES as trouble:
                return Warmed(tallies, finished=False, error=trouble)
            tallies[label] = tallies.get(label, Tally()) + course.tally
            if error is not None or not course.is_over:
                return Warmed(tallies, finished=False, error=error)
        return Warmed(tallies)

    def _one(self, course: Course, filling: Filling) -> Exception | None:
        """Warm one target; what has ended it early."""
        crew = Crew(course, filling, self._stop)
        try:
            crew.run(self._workers)
        except BaseException:
            self._keep(course)
            raise
        if crew.error is not None and not isinstance(crew.error, TROUBLES):
            self._keep(course)
            raise crew.error
        if crew.error is None and course.is_over:
            course.forget()
        else:
            self._keep(course)
        return crew.error

    @staticmethod
    def _keep(course: Course) -> None:
        with suppress(StoreUnavailable):  # Then what was saved last is a little further back.
            course.save()


def _check(
    targets: Sequence[Target],
    limit: int | None,
    rate: float | None,
    workers: int,
    resume: bool,
    hot: bool,
) -> None:
    """Raise `PolicyError` for what makes no sense."""
    if limit is not None and limit < 1:
        raise PolicyError(f"limit is {limit}; it is a number of rows, 1 or more.")
    if rate is not None and not 0 < rate < math.inf:
        raise PolicyError(f"rate is {rate}; it is a number of rows a second, above 0.")
    if not 1 <= workers <= MOST_WORKERS:
        raise PolicyError(f"workers is {workers}; it is a number of threads, 1 to {MOST_WORKERS}.")
    if resume and (hot or any(isinstance(target, QuerySet) for target in targets)):
        raise PolicyError(
            "resume is for whole models: hot keys and querysets are begun anew, which leaves "
            "alone what is there."
        )
