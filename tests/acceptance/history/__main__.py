"""``python -m tests.acceptance.history``: the checker by itself, for as long as one likes."""

from __future__ import annotations

import argparse
import os
import sys

import django

from example_project.servers import running_servers

from .scene import Scene
from .subject import SUBJECTS
from .workload import KINDS, Workload


def main() -> int:
    options = _parser().parse_args()
    workload = Workload(
        seconds=options.seconds,
        readers=tuple(options.reader or KINDS),
        writers=options.writers,
        gap=options.gap,
        seed=options.seed,
    )
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    with running_servers(durable=False) as servers:
        os.environ |= servers.environment
        django.setup()
        return _run(workload, options.subject, details=options.details)


def _run(workload: Workload, name: str, *, details: bool) -> int:
    from django.core.cache import cache
    from django.db import connection

    from .checker import check

    before = connection.settings_dict["NAME"]
    connection.creation.create_test_db(verbosity=0, autoclobber=True)
    try:
        verdict = check(workload, name, Scene.here(TIMEOUT=10))
    finally:
        connection.creation.destroy_test_db(before, verbosity=0)
        cache.delete_pattern("*")
    print(verdict.text())
    if details:
        print(verdict.details())
    return 1 if verdict.faults else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.acceptance.history",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--subject", choices=list(SUBJECTS), default="cachepatterns")
    parser.add_argument(
        "--reader",
        action="append",
        choices=KINDS,
        help="one reader process of this kind; may be given several times (default: one of each)",
    )
    parser.add_argument("--writers", type=int, default=2, help="writer processes")
    parser.add_argument(
        "--gap", type=float, default=Workload.gap, help="mean seconds between two writes of one"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--details", action="store_true", help="print every count")
    return parser


if __name__ == "__main__":
    sys.exit(main())
