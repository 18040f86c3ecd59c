"""`manage.py warm_cache`: rows get into the cache ahead of traffic."""

from __future__ import annotations

import sys
import threading
from argparse import ArgumentParser
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

from django.db import connections
from django.db.models import Model

from ... import conf
from ...conf import as_tenant
from ...exceptions import StoreUnavailable
from ...warming import OnProgress, Progress, Warmed, warm
from ...warming.chosen import choose, choose_all, every_model
from ...warming.reports import Tally
from ..bar import Bar
from ..names import models_of
from ..reporting import Failure, Report, ReportingCommand, away, usage
from ..signals import ended_by_signals


class Command(ReportingCommand):
    """Warms. Exits with 1 where it was interrupted, or a server failed."""

    help = (
        "Loads rows into the cache ahead of traffic, with their lookups. Entries that are there "
        "are left alone; it may run while others read and write."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        add = parser.add_argument
        add("names", nargs="*", metavar="name", help="app.Model, or an app; default: all cached")
        add("--limit", type=int, metavar="N", help="the most rows of each model; of --hot, keys")
        add("--workers", type=int, default=1, metavar="N", help="threads, each with a connection")
        add("--rate", type=float, metavar="ROWS", help="the most rows a second, of all workers")
        add("--resume", action="store_true", help="go on where an interrupted run has stopped")
        add("--hot", action="store_true", help="only the rows that metrics have seen as hottest")
        add("--refresh", action="store_true", help="load what is there anew, too")
        add("--tenant", action="append", metavar="TENANT", help="whose; may be repeated")
        add("--database", metavar="ALIAS", help="only models whose rows come from this database")
        add("--no-progress", action="store_true", help="no progress bar, on a terminal either")

    def run(
        self,
        *args: Any,
        names: Sequence[str],
        tenant: Sequence[str] | None,
        database: str | None,
        no_progress: bool,
        **options: Any,
    ) -> Report:
        """Warm. Raises `CommandError`."""
        bar = None if no_progress else _bar()
        draw = None if bar is None else _drawing(bar)
        stop = threading.Event()
        wanted = {name: options[name] for name in _OPTIONS}
        runs: list[tuple[str | None, Warmed]] = []
        with ended_by_signals(lambda: self._stop(stop)):
            for each in _tenants(tenant):
                with nullcontext() if each is None else as_tenant(each):
                    models = _models(names, database)
                    done = warm(*models, **wanted, stop=stop, on_progress=draw)
                runs.append((each, done))
                if bar is not None:
                    bar.clear()
                self._tell(each, done, options["hot"])
                if not done.finished:
                    break
        return self._ended(runs, resumable=not options["hot"])

    def _ended(self, runs: Sequence[tuple[str | None, Warmed]], resumable: bool) -> Report:
        """The report. Raises `Failure` where not all was done."""
        done = sum((each for _, each in runs), Warmed())
        report = done.as_json()
        if any(name is not None for name, _ in runs):
            report["tenants"] = {name: each.as_json() for name, each in runs}
        if done.finished and done.error is None:
            return report
        rest = " What was done stays" + ("; go on with --resume." if resumable else ".")
        if isinstance(done.error, StoreUnavailable):
            raise Failure(away(done.error) + rest, report)
        if done.error is not None:
            text = " ".join(str(done.error).split())
            raise Failure(f"The database has failed: {text}." + rest, report)
        raise Failure("Stopped." + rest, report)

    def _stop(self, stop: threading.Event) -> None:
        stop.set()
        self.complain("Stopping after the rows under way; once more to stop at once.")

    def _tell(self, tenant: str | None, done: Warmed, hot: bool) -> None:
        of = f" of tenant {tenant!r}" if tenant is not None else ""
        for reason in done.skipped.values():
            self.complain(f"Left out: {reason}")
        for label, tally in done.by_model.items():
            self.tell(f"{label}{of}: {_said(tally)}.")
        if done.unknown_keys:
            self.tell(f"{done.unknown_keys:,} hot keys are of no row that can be told from them.")
        total = done.total
        if done.by_model:
            rate = total.looked_at / max(done.seconds, 1e-9)
            self.tell(f"{total.looked_at:,} rows in {done.seconds:,.1f} s, {rate:,.0f} rows/s.")
        else:
            self.tell(f"There was nothing to warm{of}.{_cold() if hot else ''}")


_OPTIONS = ("limit", "workers", "rate", "resume", "hot", "refresh")


def _cold() -> str:
    """Why there may be no hot keys."""
    if not conf.config().values["METRICS"]:
        return " CACHEPATTERNS['METRICS'] is False."
    return " No row was sampled as hot: of 64 reads one is, and it counts for an hour or two."


def _bar() -> Bar | None:
    bar = Bar(sys.stderr)
    return bar if bar.is_shown else None


def _drawing(bar: Bar) -> OnProgress:
    def draw(progress: Progress) -> None:
        bar.show(progress.model, progress.done, progress.expected)

    return draw


def _tenants(names: Sequence[str] | None) -> Sequence[str | None]:
    """Whose rows to warm; `None` where there are no tenants."""
    if conf.config().tenant is None:
        if names:
            usage("There are no tenants: CACHEPATTERNS['TENANT'] is not set. Leave out --tenant.")
        return [None]
    if not names:
        usage("Say whose rows to warm: --tenant NAME, which may be repeated.")
    return names


def _models(names: Sequence[str], database: str | None) -> list[type[Model]]:
    """The models to warm; none: all there are. Raises `CommandError` and `PolicyError`."""
    if database is not None and database not in connections:
        known = ", ".join(connections)
        usage(f"There is no database {database!r}. Use one of: {known}.")
    named = dict.fromkeys(model for name in names for model in models_of(name, every_model()))
    if database is None:
        return list(named)
    if not named:
        found = [each.rows for each in choose_all(hot=True)[0]]
        models = [rows.model for rows in found if rows.alias == database]
        if not models:
            usage(f"No model's rows come from the database {database!r}. Leave out --database.")
        return models
    for model in named:
        alias = choose(model, hot=True).rows.alias
        if alias != database:
            usage(
                f"Rows of {model._meta.label} come from the database {alias!r}, and are not read "
                f"through from {database!r}. Leave out --database."
            )
    return list(named)


def _said(tally: Tally) -> str:
    """What became of a model's rows."""
    parts = [f"{tally.filled:,} filled"]
    for number, what in (
        (tally.valid, "there already"),
        (tally.busy, "left to others who load or write them"),
        (tally.refused, "written meanwhile"),
        (tally.unfit, "too large or not to be carried (see the log)"),
        (tally.gone, "deleted meanwhile"),
    ):
        if number:
            parts.append(f"{number:,} {what}")
    if tally.pointers:
        parts.append(f"{tally.pointers:,} lookups filled")
    return ", ".join(parts)
