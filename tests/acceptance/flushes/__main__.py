"""``python -m tests.acceptance.flushes``: the kill test by itself, as often as one likes."""

from __future__ import annotations

import argparse
import os
import sys

import django

from example_project.servers import running_servers


def main() -> int:
    options = _parser().parse_args()
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    with running_servers(durable=False) as servers:
        os.environ |= servers.environment
        django.setup()
        return _run(options)


def _run(options: argparse.Namespace) -> int:
    from django.db import connection

    from tests.acceptance.history.__main__ import scratch
    from tests.acceptance.history.scene import Scene

    from . import ground
    from .plans import made_plans
    from .run import Run

    with scratch({}):
        ground.lay(connection)
        plans = made_plans(options.kills, seed=options.seed)
        verdict = Run(plans, options.without).carried_out(Scene.here(TIMEOUT=10))
    print(verdict.table())
    print(verdict.text())
    return 1 if verdict.differences or verdict.tally.examples or verdict.others else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.acceptance.flushes",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--kills", type=int, default=50, help="at each step")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--without",
        choices=("without ledger", "without id check", "without transaction"),
        help="take a safeguard away",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
