"""Servers for the length of a benchmark, and a process for each kind of contender."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from example_project.demo.scratch import scratch
from example_project.servers import running_servers

from .tables import Table, between_marks, put

BENCHMARKS = (
    *("hit", "page", "writes", "commands", "patterns", "herd", "wake", "refresh"),
    *("counters", "live", "zipf", "flush", "leaderboard", "warm", "memory", "dashboard", "metrics"),
)
PROCESSES = ("cachepatterns", "cacheops", "cachalot")
STDOUT = "-"


class Session:
    """Both servers and full tables.

    Args:
        environment: says where the servers are, to the processes that measure.
    """

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment

    def run(self, process: str, *arguments: str) -> Any:
        """Run one measuring process; what it reports."""
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.worker", *arguments],
            env=os.environ | self._environment | {"BENCHMARKS_PROCESS": process},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return json.loads(done.stdout.splitlines()[-1])


@contextlib.contextmanager
def session() -> Iterator[Session]:
    """Start PostgreSQL (as durable as it is by default) and Valkey, and fill the tables."""
    with running_servers(durable=True) as servers, scratch(servers) as environment:
        if servers.valkey is not None:
            environment["BENCHMARKS_VALKEY_PID"] = str(servers.valkey.pid)
        made = Session(environment)
        made.run("cachepatterns", "tables")
        yield made


def main(names: Sequence[str] = BENCHMARKS) -> int:
    """Run benchmarks and print a table of each."""
    options = _parser(names).parse_args()
    signal.signal(signal.SIGTERM, _terminated)
    try:
        with session() as servers:
            if options.markdown:
                _write(options.markdown, "machine", servers.run("cachepatterns", "machine"))
            for name in options.names if len(names) > 1 and options.names else names:
                table = _measured(servers, name, options)
                if options.markdown:
                    _write(options.markdown, name, table.markdown())
                if options.markdown != STDOUT:
                    print(f"\n{table.text()}", flush=True)
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130
    return 0


def _measured(servers: Session, name: str, options: argparse.Namespace) -> Table:
    benchmark = import_module(f"benchmarks.{name}")
    rounds = str(options.rounds or benchmark.ROUNDS)
    processes = [
        each
        for each in _processes(benchmark)
        if each in options.only or each not in PROCESSES  # `--only` is about peers.
    ]
    table: Table = benchmark.table([servers.run(each, name, rounds) for each in processes])
    return table


def _processes(benchmark: ModuleType) -> Sequence[str]:
    """Whose processes a benchmark measures."""
    return getattr(benchmark, "PROCESSES", PROCESSES)


def _write(path: str, name: str, markdown: str) -> None:
    if path == STDOUT:
        print(between_marks(name, markdown), end="\n\n", flush=True)
    else:
        put(Path(path), name, markdown)


def _terminated(*_: object) -> NoReturn:
    sys.exit(143)


def _parser(names: Sequence[str]) -> argparse.ArgumentParser:
    module = "benchmarks" if len(names) > 1 else f"benchmarks.{names[0]}"
    parser = argparse.ArgumentParser(prog=f"python -m {module}")
    if len(names) > 1:
        parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}")
    parser.add_argument("--rounds", type=int, help="of each comparison; each benchmark has its own")
    parser.add_argument(
        "--only",
        nargs="+",
        choices=PROCESSES,
        default=PROCESSES,
        metavar="PROCESS",
        help=f"leave the other processes out; of {', '.join(PROCESSES)}",
    )
    parser.add_argument(
        "--markdown",
        metavar="FILE",
        help="put the tables into a Markdown file, in place of those of the run before; "
        f"{STDOUT} prints them",
    )
    return parser
