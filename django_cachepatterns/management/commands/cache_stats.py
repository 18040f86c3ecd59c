"""`manage.py cache_stats`: what the cache does, in the terminal."""

from __future__ import annotations

import math
import threading
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from typing import Any

from ... import conf
from ...dashboard.advice import FEW, TARGET
from ...exceptions import StoreUnavailable
from ...metrics import history
from ...metrics.measured import Measured
from ..columns import aligned, milliseconds, percent
from ..figures import QUANTILES, TIMED, Backlog, Figures, figures
from ..reporting import Report, ReportingCommand, away, usage
from ..signals import ended_by_signals

EVERY = 2.0
CLEARED = "\x1b[H\x1b[2J"
"""What clears a terminal."""


class Command(ReportingCommand):
    """Shows figures of all processes. Exits with 1 where the server does not answer."""

    help = "Shows hit rates, latencies and write-behind backlogs, as all processes have sent them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--range",
            default="15m",
            dest="range_name",
            metavar="RANGE",
            help=f"of {', '.join(history.RANGES)}; default: 15m",
        )
        parser.add_argument("--policy", metavar="NAME", help="only one, such as shop.product")
        parser.add_argument(
            "--watch", action="store_true", help="show it again and again, until Ctrl-C"
        )
        parser.add_argument(
            "--every",
            type=float,
            default=EVERY,
            metavar="SECONDS",
            help=f"with --watch: the time between pictures; default: {EVERY:g}",
        )

    def run(
        self,
        *args: Any,
        range_name: str,
        policy: str | None,
        watch: bool,
        every: float,
        **options: Any,
    ) -> Report:
        """Show them. Raises `CommandError`."""
        if range_name not in history.RANGES:
            usage(f"There is no range {range_name!r}. Use one of: {', '.join(history.RANGES)}.")
        if watch and self.as_json:
            usage("--watch shows pictures, --json is one document. Leave one of them out.")
        if not 0 < every < math.inf:
            usage(f"--every is {every:g}; it is a number of seconds, above 0.")
        if watch:
            self._watch(range_name, policy, every)
            return {}
        found = _chosen(figures(range_name), policy)
        for line in _lines(found, range_name, policy):
            self.tell(line)
        return {"range": range_name, "metrics": _are_on(), **found.as_json()}

    def _watch(self, range_name: str, policy: str | None, every: float) -> None:
        stop = threading.Event()
        with ended_by_signals(stop.set):
            while not stop.is_set():
                self.say("\n".join(self._picture(range_name, policy)))
                stop.wait(every)

    def _picture(self, range_name: str, policy: str | None) -> Iterator[str]:
        try:
            lines = list(_lines(_chosen(figures(range_name), policy), range_name, policy))
        except StoreUnavailable as error:
            lines = [away(error)]  # It may come back.
        yield (CLEARED if self.stdout.isatty() else "") + f"The last {range_name}; Ctrl-C ends."
        yield ""
        yield from lines


def _chosen(found: Figures, policy: str | None) -> Figures:
    """The figures of one policy or buffer, by its name in any case."""
    if policy is None:
        return found
    name = policy.lower()
    return Figures(
        {each: figure for each, figure in found.policies.items() if each.lower() == name},
        {each: figure for each, figure in found.buffers.items() if each.lower() == name},
    )


def _lines(found: Figures, range_name: str, policy: str | None) -> Iterator[str]:
    if not found.policies and not (policy and found.buffers):
        yield from _nothing(range_name, policy)
    else:
        yield from _of_policies(found)
    if found.buffers:
        yield ""
        yield from _of_buffers(found)


def _of_policies(found: Figures) -> Iterator[str]:
    marks = " ".join(f"p{q * 100:.0f}" for q in QUANTILES)
    head = ("policy", "reads", "hit rate", *(f"{kind}s ms {marks}" for kind in TIMED))
    lines: list[Sequence[str]] = [(*head, "SQL saved", "refused fills", "errors")]
    below = False
    busiest = sorted(found.policies.items(), key=lambda each: (-each[1].reads, each[0]))
    for name, each in busiest:
        is_low = _is_low(each)
        below = below or is_low
        lines.append((name, *_cells(each, is_low)))
    yield from aligned(lines)
    if below:
        yield f"! serves less than {TARGET:.0%} of its reads from the cache: the admin says why."


def _is_low(each: Measured) -> bool:
    rate = each.hit_rate
    return rate is not None and each.reads >= FEW and rate < TARGET


def _cells(each: Measured, is_low: bool) -> Iterator[str]:
    yield f"{each.reads:,}"
    yield ("! " if is_low else "") + percent(each.hit_rate)
    for kind in TIMED:
        yield " ".join(milliseconds(each.quantile(kind, q)) for q in QUANTILES)
    yield f"{each.saved:,}"
    yield f"{each.counts.get('refused_fill', 0):,}"
    yield f"{each.counts.get('error', 0):,}"


def _of_buffers(found: Figures) -> Iterator[str]:
    lines: list[Sequence[str]] = [
        ("write-behind", "waiting", "oldest s", "flushed", "failed flushes", "dead letters")
    ]
    lines += [(name, *_waiting(each)) for name, each in found.buffers.items()]
    yield from aligned(lines)


def _waiting(each: Backlog) -> Iterator[str]:
    yield "?" if each.rows is None else f"{each.rows:,}"
    yield "-" if each.age is None else f"{each.age:,.1f}"
    for outcome in ("flushed", "flush_error", "dead_letter"):
        yield f"{each.measured.counts.get(outcome, 0):,}"


def _nothing(range_name: str, policy: str | None) -> Iterator[str]:
    """What to look at where there are no figures."""
    of = f" of {policy!r}" if policy else ""
    yield f"Nothing was read{of} in the last {range_name}, so far as anybody has said."
    if not _are_on():
        yield "CACHEPATTERNS['METRICS'] is False here: set it to True where the site runs."
        return
    values = conf.config().values
    names = list(history.RANGES)
    longer = names[names.index(range_name) + 1 :]
    yield (
        f"Processes send their figures every {values['METRICS_FLUSH_EVERY']:g} seconds. Does the "
        f"site run with METRICS on, with the same CACHES[{values['CACHE']!r}] and the same "
        f"KEY_PREFIX ({values['KEY_PREFIX']!r})?"
        + (f" Try a longer --range: {', '.join(longer)}." if longer else "")
    )
    if policy:
        yield "Without --policy every name is shown that has figures."


def _are_on() -> bool:
    return bool(conf.config().values["METRICS"])
