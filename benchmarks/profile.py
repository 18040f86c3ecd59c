"""`python -m benchmarks.profile hit`: where the time of one operation goes, by cProfile.

For those who work on the library. The profiler itself makes calls look dearer than C code.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import sys
from collections.abc import Callable
from typing import Any

from .session import session

OPERATIONS = {
    "hit": 20_000,
    "lookup": 20_000,
    "page": 1000,
    "save": 2000,
    "create": 1000,
    "bulk_create": 20,
    "update": 50,
    "delete": 100,
}


def main() -> int:
    options = _parser().parse_args()
    with session() as servers:
        model = "PlainItem" if options.plain else "CachedItem"
        arguments = (model, options.operation, options.sort, str(options.lines))
        print(servers.run("cachepatterns", "profile", *arguments))
    return 0


def report(model: str, operation: str, sort: str, lines: int) -> str:
    """The profile of one operation, repeated."""
    from io import StringIO

    from .app import models

    count = OPERATIONS[operation]
    run, prepare = _operations(getattr(models, model))[operation]
    profiler = cProfile.Profile()
    warm_up = max(1, count // 10)
    for number in range(warm_up + count):
        argument = prepare(number)
        if number >= warm_up:
            profiler.enable()
        run(argument)
        profiler.disable()
    out = StringIO()
    print(f"{operation} of {model}, {count:,} times", file=out)
    pstats.Stats(profiler, stream=out).sort_stats(sort).print_stats(lines)
    return out.getvalue()


def _operations(model: Any) -> dict[str, tuple[Callable[[Any], object], Callable[[int], Any]]]:
    """What is profiled, and what makes its argument from the number of its turn."""
    from . import writes
    from .reads import KEYS, fill_entries
    from .rows import ROWS, delete_new, values

    fill_entries()
    get, filtered = model.objects.get, model.objects.filter
    slugs = [values(pk)["slug"] for pk in KEYS]
    items = list(filtered(pk__in=KEYS))
    pages = [list(range(start, start + 50)) for start in range(1, 951)]
    prepared = {write.run: write.prepare for write in writes.WRITES}

    def many(run: Callable[[Any, Any], object]) -> Any:
        def prepare(number: int) -> Any:
            delete_new(model)
            return prepared[run](model, number)

        return lambda argument: run(model, argument), prepare

    def changed(number: int) -> Any:
        items[number % 1000].quantity = number
        return items[number % 1000]

    return {
        "hit": (lambda pk: get(pk=pk), lambda number: number % 1000 + 1),
        "lookup": (lambda slug: get(slug=slug), lambda number: slugs[number % 1000]),
        "page": (lambda page: list(filtered(pk__in=page)), lambda number: pages[number % 950]),
        "save": (lambda item: item.save(), changed),
        "create": (
            lambda row: model.objects.create(**row),
            lambda number: values(ROWS + number + 1),
        ),
        "bulk_create": many(writes.bulk_create),
        "update": many(writes.update),
        "delete": many(writes.delete),
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description=__doc__)
    parser.add_argument("operation", choices=OPERATIONS)
    parser.add_argument("--plain", action="store_true", help="the same to a plain model")
    parser.add_argument("--sort", default="tottime", help="tottime (default), cumtime, ncalls")
    parser.add_argument("--lines", type=int, default=30)
    return parser


if __name__ == "__main__":
    sys.exit(main())
