"""``python -m tests.acceptance.history``: the checker by itself, for as long as one likes."""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
import sys
from collections.abc import Iterator
from typing import Any

import django

from example_project.servers import running_servers

from .areas import AREAS
from .scene import Scene
from .subject import SUBJECTS
from .workload import KINDS, Workload

MODELS = tuple(f"testapp.{name}" for name in ("Item", "Label", "Category", "Mark", "Piece"))


def main() -> int:
    options = _parser().parse_args()
    workload = Workload(
        seconds=options.seconds,
        readers=tuple(options.reader or KINDS),
        writers=options.writers,
        warmers=options.warmers,
        gap=options.gap,
        areas=_chosen(options.areas),
        threads=options.threads,
        seed=options.seed,
    )
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    with running_servers(durable=False) as servers:
        os.environ |= servers.environment
        django.setup()
        return _run(workload, options)


def _run(workload: Workload, options: argparse.Namespace) -> int:
    from .checker import check

    policy = dict(options.policy or ())
    with scratch(dict.fromkeys(MODELS, policy) if policy else {}):
        verdict = check(workload, options.subject, Scene.here(TIMEOUT=10))
    print(verdict.text())
    if options.details:
        print(verdict.details())
    return 1 if verdict.faults else 0


@contextlib.contextmanager
def scratch(policies: dict[str, Any]) -> Iterator[None]:
    """A database and a prefix of keys of the run's own: the servers may be anyone's."""
    from django.conf import settings
    from django.db import connection

    own, before = f"history_{secrets.token_hex(4)}", connection.settings_dict["NAME"]
    connection.settings_dict["TEST"]["NAME"] = own
    settings.CACHEPATTERNS = {**settings.CACHEPATTERNS, "KEY_PREFIX": own, "POLICIES": policies}
    connection.creation.create_test_db(verbosity=0)
    try:
        yield
    finally:
        connection.creation.destroy_test_db(before, verbosity=0)


def _chosen(names: str) -> tuple[str, ...]:
    chosen = tuple(names.split(","))
    if unknown := set(chosen) - set(AREAS):
        sys.exit(f"No such area: {', '.join(unknown)}. There are {', '.join(AREAS)}.")
    return chosen


def _option(text: str) -> tuple[str, str | float]:
    name, _, value = text.partition("=")
    with contextlib.suppress(ValueError):
        return name, float(value)
    return name, value


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
    parser.add_argument("--warmers", type=int, default=0, help="processes that warm and drop")
    parser.add_argument(
        "--gap", type=float, default=Workload.gap, help="mean seconds between two writes of one"
    )
    parser.add_argument(
        "--areas",
        default=",".join(AREAS),
        metavar="AREA,...",
        help=f"what is put to the test, of {', '.join(AREAS)} (default: all)",
    )
    parser.add_argument("--threads", type=int, default=Workload.threads, help="in each reader")
    parser.add_argument(
        "--policy",
        action="append",
        type=_option,
        metavar="NAME=VALUE",
        help="an option of the policies of all models but the one that is written through, such as "
        "invalidation=version",
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--details", action="store_true", help="print every count")
    return parser


if __name__ == "__main__":
    sys.exit(main())
