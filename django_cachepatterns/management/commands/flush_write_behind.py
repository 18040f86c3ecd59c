"""`manage.py flush_write_behind`: what waits in write-behind buffers reaches the database."""

from __future__ import annotations

import signal
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ...exceptions import CachePatternsError, PolicyError
from ...write_behind import registry
from ...write_behind.buffer import Buffer
from ...write_behind.loop import Loop
from ...write_behind.patience import flush_in_turn
from ...write_behind.reports import Flushed
from ...write_behind.tenants import rows_waiting
from ...write_behind.troubles import Troubles, why


class Command(BaseCommand):
    """Flushes once, or in a loop. Exits with 1 where something could not be flushed."""

    help = "Flushes write-behind buffers to the database: once, or with --loop until it is stopped."

    def add_arguments(self, parser: ArgumentParser) -> None:
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

    def handle(
        self, *args: Any, names: Sequence[str], loop: bool, every: float | None, **options: Any
    ) -> None:
        """Flush. Raises `CommandError`."""
        if every is not None and not (loop and every > 0):
            raise CommandError("--every is a positive number of seconds, for --loop.")
        try:
            buffers = registry.chosen(names)
        except PolicyError as error:
            raise CommandError(str(error)) from error
        if not buffers:
            self.stdout.write("There are no write-behind buffers.")
        elif loop:
            self._loop(buffers, every)
        else:
            self._once(buffers)

    def _once(self, buffers: Sequence[Buffer[Any]]) -> None:
        failed = []
        for buffer in buffers:
            done = flush_in_turn(buffer)
            self.stdout.write(f"{buffer.name}: {_did(done)}; {_waits(buffer)}.")
            if done.errors or done.held:
                failed.append(f"{buffer.name}: {why(done) or 'another flusher is at it'}")
        if failed:
            raise CommandError(
                "Not everything could be flushed. What waits goes on waiting; try again.\n"
                + "\n".join(failed)
            )

    def _loop(self, buffers: Sequence[Buffer[Any]], every: float | None) -> None:
        loop = Loop(buffers, every, Troubles(self._complain, self._say))
        with _ended_by_signals(loop):
            self._say(f"Flushing {', '.join(buffer.name for buffer in buffers)}.")
            loop.run()
        # A second signal ends the drain, too.
        done = loop.drain()
        if done.errors or done.held:
            self._complain(
                "Not everything could be flushed; what waits is left to the next flush. "
                + (why(done) or "Another flusher is at it, or was a moment ago.")
            )
        self._say(f"Ended, after a last flush: {_did(done)}.")

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()

    def _complain(self, text: str) -> None:
        self.stderr.write(text)
        self.stderr.flush()


@contextmanager
def _ended_by_signals(loop: Loop) -> Iterator[None]:
    """SIGTERM and SIGINT stop a loop, in this block."""
    before = {
        number: signal.signal(number, lambda *_: loop.stop())
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _did(done: Flushed) -> str:
    parts = [f"{_number(done.batches, 'batch')}", f"{_number(done.rows, 'row')} changed"]
    if done.dropped:
        parts.append(f"{done.dropped} dropped (their rows are gone)")
    if done.refused:
        parts.append(f"{done.refused} refused (see retry_dead_letters --list)")
    return ", ".join(parts)


def _waits(buffer: Buffer[Any]) -> str:
    try:
        rows = rows_waiting(buffer)
    except CachePatternsError:
        return "what waits cannot be seen"
    return f"{_number(rows, 'row')} waiting" if rows else "nothing waits"


def _number(number: int, noun: str) -> str:
    plural = noun + ("es" if noun.endswith("ch") else "s")
    return f"{number} {noun if number == 1 else plural}"
