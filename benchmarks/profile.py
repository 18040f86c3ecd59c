"""`python -m benchmarks.profile hit`: where the time of one operation goes, by cProfile.

For those who work on the library. The profiler itself makes calls look dearer than C code.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import sys
from collections.abc import Callable

from .session import session

OPERATIONS = {"hit": 20_000, "lookup": 20_000, "page": 1000, "save": 2000, "update": 30}


def main() -> int:
    options = _parser().parse_args()
    with session() as servers:
        arguments = (options.operation, options.sort, str(options.lines))
        print(servers.run("cachepatterns", "profile", *arguments))
    return 0


def report(operation: str, sort: str, lines: int) -> str:
    """The profile of one operation, repeated."""
    from io import StringIO

    count = OPERATIONS[operation]
    run = _operations()[operation]
    for number in range(max(1, count // 10)):
        run(number)
    profiler = cProfile.Profile()
    profiler.enable()
    for number in range(count):
        run(number)
    profiler.disable()
    out = StringIO()
    print(f"{operation}, {count:,} times", file=out)
    pstats.Stats(profiler, stream=out).sort_stats(sort).print_stats(lines)
    return out.getvalue()


def _operations() -> dict[str, Callable[[int], object]]:
    """Each takes the number of its turn."""
    from .app.models import CachedItem
    from .reads import KEYS, fill_entries
    from .rows import values

    fill_entries()
    slugs = [values(pk)["slug"] for pk in KEYS]
    items = list(CachedItem.objects.nocache().filter(pk__in=KEYS))
    pages = [list(range(start, start + 50)) for start in range(1, 951)]
    return {
        "hit": lambda number: CachedItem.objects.get(pk=number % 1000 + 1),
        "lookup": lambda number: CachedItem.objects.get(slug=slugs[number % 1000]),
        "page": lambda number: list(CachedItem.objects.filter(pk__in=pages[number % 950])),
        "save": lambda number: items[number % 1000].save(),
        "update": lambda number: CachedItem.objects.filter(pk__lte=1000).update(quantity=number),
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description=__doc__)
    parser.add_argument("operation", choices=OPERATIONS)
    parser.add_argument("--sort", default="tottime", help="tottime (default), cumtime, ncalls")
    parser.add_argument("--lines", type=int, default=30)
    return parser


if __name__ == "__main__":
    sys.exit(main())
