"""``python -m example_project.demo``: the shop under load, without and with the cache."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from typing import NoReturn

import django
from django.core.management import call_command

from example_project.servers import running_servers

from .crew import run_round
from .load import Load
from .scratch import scratch


def main() -> int:
    load = _load(_parser().parse_args())
    signal.signal(signal.SIGTERM, _terminated)
    try:
        with running_servers() as servers, scratch(servers) as environment:
            os.environ |= environment
            os.environ["DJANGO_SETTINGS_MODULE"] = "example_project.config.settings"
            _prepare(load)
            _measure(load)
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130
    return 0


def _prepare(load: Load) -> None:
    """Make the tables and fill them."""
    print(f"Making {load.products:,} products ...", flush=True)
    django.setup()
    call_command("migrate", verbosity=0)
    from example_project.shop.factories import create_shop

    create_shop(load.products)
    _analyze()


def _analyze() -> None:
    """Tell PostgreSQL about its new tables now, rather than in the middle of a round."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    connection.close()


def _measure(load: Load) -> None:
    """Run both rounds and print the table."""
    from .figures import figures
    from .reader import BY_SLUG
    from .table import text

    results = []
    for cached in (False, True):
        print(f"{load.seconds:g} s {'with' if cached else 'without'} the cache ...", flush=True)
        results.append(figures(*run_round(load, cached=cached)))
    print(f"\n{text(load, BY_SLUG, *results)}")


def _terminated(*_: object) -> NoReturn:
    sys.exit(143)


def _load(options: argparse.Namespace) -> Load:
    return Load(
        seconds=options.seconds,
        products=options.products,
        readers=options.readers,
        writers=options.writers,
        writes_per_second=options.writes_per_second,
        check_share=options.check_share,
        cold=options.cold,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m example_project.demo",
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each round")
    parser.add_argument("--products", type=int, default=10_000)
    parser.add_argument("--readers", type=int, default=4, help="processes that read")
    parser.add_argument("--writers", type=int, default=2, help="processes that write")
    parser.add_argument(
        "--writes-per-second", type=float, default=50.0, help="of all writers together"
    )
    parser.add_argument(
        "--check-share", type=float, default=0.02, help="share of reads compared with the database"
    )
    parser.add_argument("--cold", action="store_true", help="begin with an empty cache")
    return parser


if __name__ == "__main__":
    sys.exit(main())
