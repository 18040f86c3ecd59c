"""`manage.py flush_write_behind`: what waits in write-behind buffers reaches the database."""

from __future__ import annotations

import math
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any

from ...exceptions import CachePatternsError
from ...write_behind import registry
from ...write_behind.buffer import Buffer
from ...write_behind.loop import Loop
from ...write_behind.patience import flush_in_turn
from ...write_behind.reports import Flushed
from ...write_behind.tenants import rows_waiting
from ...write_behind.troubles import Troubles, why
from ..reporting import Failure, Report, ReportingCommand, usage
from ..signals import ended_by_signals


class Command(ReportingCommand):
    """Flushes once, or in a loop. Exits with 1 where something could not be flushed."""

    help = "Flushes write-behind buffers to the database: once, or with --loop until it is stopped."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("names", nargs="*", metavar="name", help="buffers; default: all")
        parser.add_argument(
            "--loop",
            action="store_true",
            help="flush each buffer by its own flush_every, until SIGTERM or SIGINT",
        )
        parser.add_argument(
            "--every",
            type=float,
            metavar="SECONDS",
            help="with --loop: the time between flushes, in place of the buffers' own",
        )

    def run(
        self, *args: Any, names: Sequence[str], loop: bool, every: float | None, **options: Any
    ) -> Report:
        """Flush. Raises `CommandError`."""
        if every is not None and not (loop and 0 < every < math.inf):
            usage("--every is a positive number of seconds, for --loop.")
        buffers = registry.chosen(names)
        if not buffers:
            self.tell("There are no write-behind buffers.")
            return {"buffers": {}}
        return self._loop(buffers, every) if loop else self._once(buffers)

    def _once(self, buffers: Sequence[Buffer[Any]]) -> Report:
        report: dict[str, Any] = {"buffers": {}}
        failed = []
        for buffer in buffers:
            done = flush_in_turn(buffer)
            rows = _waiting(buffer)
            self.tell(f"{buffer.name}: {_did(done)}; {_waits(rows)}.")
            report["buffers"][buffer.name] = {**_counts(done), "waiting": rows}
            if done.errors or done.held:
                failed.append(f"{buffer.name}: {why(done) or 'another flusher is at it'}")
        if failed:
            raise Failure(
                "Not everything could be flushed. What waits goes on waiting; try again.\n"
                + "\n".join(failed),
                report,
            )
        return report

    def _loop(self, buffers: Sequence[Buffer[Any]], every: float | None) -> Report:
        loop = Loop(buffers, every, Troubles(self.complain, self.say))
        with ended_by_signals(loop.stop):
            self.say(f"Flushing {', '.join(buffer.name for buffer in buffers)}.")
            loop.run()
        # A second signal ends the drain, too.
        done = loop.drain()
        if done.errors or done.held:
            self.complain(
                "Not everything could be flushed; what waits is left to the next flush. "
                + (why(done) or "Another flusher is at it, or was a moment ago.")
            )
        self.say(f"Ended, after a last flush: {_did(done)}.")
        return {"last_flush": _counts(done)}


def _counts(done: Flushed) -> dict[str, Any]:
    """What a flush did, for a JSON document."""
    return {
        "batches": done.batches,
        "rows": done.rows,
        "dropped": done.dropped,
        "refused": done.refused,
        "error": (why(done) or "another flusher is at it") if done.errors or done.held else None,
    }


def _did(done: Flushed) -> str:
    parts = [f"{_number(done.batches, 'batch')}", f"{_number(done.rows, 'row')} changed"]
    if done.dropped:
        parts.append(f"{done.dropped} dropped (their rows are gone)")
    if done.refused:
        parts.append(f"{done.refused} refused (see retry_dead_letters --list)")
    return ", ".join(parts)


def _waiting(buffer: Buffer[Any]) -> int | None:
    """Rows that wait; `None` where the server does not say."""
    try:
        return rows_waiting(buffer)
    except CachePatternsError:
        return None


def _waits(rows: int | None) -> str:
    if rows is None:
        return "what waits cannot be seen"
    return f"{_number(rows, 'row')} waiting" if rows else "nothing waits"


def _number(number: int, noun: str) -> str:
    plural = noun + ("es" if noun.endswith("ch") else "s")
    return f"{number} {noun if number == 1 else plural}"
