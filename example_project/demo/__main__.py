"""``python -m example_project.demo``: the shop without and with the cache, and then open."""

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

PARTS = 3
"""Without the cache, with it, and the open shop."""

FIRST_READS = (
    "(These are all reads since the demo began. {:,} of them, when the products were read once\n"
    "before the round, were the first of a row and could not be hits.)\n"
)


def main() -> int:
    options = _parser().parse_args()
    load = _load(options)
    signal.signal(signal.SIGTERM, _terminated)
    try:
        with running_servers() as servers, scratch(servers) as environment:
            os.environ |= environment
            os.environ["DJANGO_SETTINGS_MODULE"] = "example_project.config.settings"
            _prepare(load)
            _measure(load)
            _open(load, None if options.seconds is None else load.seconds)
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
        print(f"{load.seconds:.3g} s {'with' if cached else 'without'} the cache ...", flush=True)
        results.append(figures(*run_round(load, cached=cached)))
    print(f"\n{text(load, BY_SLUG, *results)}")


def _open(load: Load, seconds: float | None) -> None:
    """Open the shop and its dashboard for a while; then say what the dashboard has shown."""
    from .opening import open_shop, watch

    with open_shop(load) as shop:
        try:
            watch(shop, seconds)
        except KeyboardInterrupt:
            print("\nClosing the shop ...", flush=True)
    print("What its dashboard has shown, by `manage.py cache_stats`:\n", flush=True)
    if not load.cold:
        print(FIRST_READS.format(load.products), flush=True)
    call_command("cache_stats", range="15m")


def _terminated(*_: object) -> NoReturn:
    sys.exit(143)


def _load(options: argparse.Namespace) -> Load:
    return Load(
        seconds=options.round if options.seconds is None else options.seconds / PARTS,
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
    parser.add_argument(
        "--seconds",
        type=float,
        help="of the whole demo: a third for each round, a third for the open shop; without it the "
        "shop stays open until Ctrl-C",
    )
    parser.add_argument(
        "--round", type=float, default=10.0, help="seconds of a round, without --seconds"
    )
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
