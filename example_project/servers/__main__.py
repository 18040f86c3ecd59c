"""``python -m example_project.servers -- CMD ARGS...`` runs a command beside fresh servers."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from .running import running_servers


def main() -> int:
    options = _parser().parse_args()
    with running_servers(options.data_dir, durable=not options.not_durable) as servers:
        process = subprocess.Popen(options.command, env=os.environ | servers.environment)
        with _signals_passed_on(process):
            status = process.wait()
    return status if status >= 0 else 128 - status


@contextlib.contextmanager
def _signals_passed_on(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Leave it to the command when to stop; Ctrl-C reaches it by itself, through the terminal."""
    interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)
    terminate = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, interrupt)
        signal.signal(signal.SIGTERM, terminate)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m example_project.servers",
        description="Run a command with DATABASE_URL and REDIS_URL set to servers of its own.",
    )
    parser.add_argument("--data-dir", type=Path, help="keep PostgreSQL's data in this folder")
    parser.add_argument("--not-durable", action="store_true", help="faster, for tests")
    parser.add_argument("command", nargs="+", metavar="CMD", help="the command, after --")
    return parser


if __name__ == "__main__":
    sys.exit(main())
