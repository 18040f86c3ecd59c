"""The dashboard with 200 policies and a year of figures: time in the server, per request.

Every slot of every resolution is full, and a minute is not rolled up yet. The time is that of
Django's whole stack, from the request to the last byte of the response, in one process.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from statistics import median, quantiles
from time import perf_counter
from typing import Any

from .session import main
from .tables import Table

PROCESSES = ("admin",)
POLICIES = 200
ROUNDS = 30
BAR = 300
"""Milliseconds."""
AT_ONCE = 200
"""Courses that are stored by one command."""


@dataclass(frozen=True)
class Answered:
    """The times of one address, in milliseconds.

    Args:
        name: what was asked for.
        times: of each request.
        size: bytes of the response.
    """

    name: str
    times: Sequence[float]
    size: int


def table(reports: Sequence[list[dict[str, Any]]]) -> Table:
    """What is printed."""
    lines: list[Sequence[str]] = [("", "median, ms", "10th..90th", "most", "KB", "bar")]
    for each in (each for report in reports for each in report):
        times = each["times"]
        tenths = quantiles(times, n=10)
        middle = median(times)
        lines.append(
            (
                f"  {each['name']}",
                f"{middle:.0f}",
                f"{tenths[0]:.0f}..{tenths[-1]:.0f}",
                f"{max(times):.0f}",
                f"{each['size'] / 1000:.0f}",
                f"<= {BAR} {'met' if tenths[-1] <= BAR else 'MISSED'}",
            )
        )
    return Table(
        f"dashboard: time in the server of one request, with {POLICIES} policies that were read\n"
        "in each minute of the day, hour of the month and day of the year (the bar is for nine of "
        "ten requests)",
        lines,
    )


def measure(process: str, rounds: int) -> Iterable[Answered]:
    """The part of the benchmark that belongs to a process."""
    from django.contrib.auth import get_user_model
    from django.core.management import call_command
    from django.test import Client

    call_command("migrate", verbosity=0)
    seed(_server_time())
    client = Client(headers={"host": "localhost"})
    client.force_login(get_user_model().objects.create_superuser("root"))
    for name, address in _addresses():
        client.get(address)
        times, size = [], 0
        for _ in range(rounds):
            begun = perf_counter()
            response = client.get(address)
            times.append((perf_counter() - begun) * 1000)
            size = len(response.content)
            if response.status_code != 200 or "policy7" not in response.content.decode():
                raise RuntimeError(f"{address} has answered something else.")
        yield Answered(name, times, size)


def seed(now: float) -> None:
    """Fill every resolution, through the functions that the metrics store their figures by."""
    from django_cachepatterns.conf import config
    from django_cachepatterns.stores import figures_of

    figures = figures_of(config())
    minute = int(now) // 60
    seen, puts = figures.read(2**40).rolled, _puts(now)
    while some := list(islice(puts, AT_ONCE)):
        if not figures.roll(seen, minute, (), some):
            raise RuntimeError("Somebody else rolls figures up meanwhile.")
        seen = minute
    raw = {f"{name}|{family}": number for family in _families() for name, number in _numbers()}
    hot = {
        f"{family}\0bench:{family}:{at}".encode(): at for at in range(5) for family in _families()
    }
    figures.add(b"benchmark", 1, raw, hot)


def _families() -> list[str]:
    return [f"shop.policy{at}" for at in range(POLICIES)]


def _numbers() -> Iterator[tuple[str, int]]:
    """What a policy has counted in a minute: outcomes, and times over some forty buckets."""
    outcomes = {"hit": 900, "miss": 90, "load": 90, "fill": 85, "refused_fill": 5, "wait": 3}
    more = {"negative": 7, "read_bytes": 900_000, "filled_bytes": 90_000, "invalidation": 40}
    yield from {**outcomes, **more}.items()
    for kind, first in (("hit", 20), ("miss", 40), ("load", 40)):
        for bucket in range(first, first + 14):
            yield f"{kind}:{bucket}", random.randrange(1, 200)


def _puts(now: float) -> Iterator[Any]:
    """Full courses of each family, and of all together, in each block that is kept."""
    from django_cachepatterns.conf import config
    from django_cachepatterns.metrics import levels
    from django_cachepatterns.stores.figures import Put

    keys = config().metrics_keys()
    for level in levels.LEVELS:
        kept = min(level.keep, 365 * levels.DAYS)
        for block in range(level.block_of(now - kept), level.block_of(now) + 1):
            for family in (*_families(), levels.ALL):
                name, full = family.encode(), block < level.block_of(now)
                slots = level.slots if full else level.slot_of(now)
                series = {each: [number] * slots for each, number in _numbers()}
                key, sums = keys.block(level.name, block), keys.sums(level.name, block)
                yield Put(key, level.keep, name, levels.pack(series))
                yield Put(sums, level.keep, name, levels.pack(levels.sums(series)))


def _server_time() -> float:
    from django_cachepatterns.conf import config
    from django_cachepatterns.stores import figures_of

    return figures_of(config()).time()


def _addresses() -> Iterator[tuple[str, str]]:
    from django.urls import reverse

    index = reverse("admin:django_cachepatterns_dashboard_changelist")
    live = reverse("admin:cachepatterns_live")
    policy = reverse("admin:cachepatterns_policy")
    for name in ("15m", "hour", "day", "month", "year"):
        yield f"page, {name}", f"{index}?range={name}"
    for name in ("15m", "year"):
        yield f"figures for a refresh (JSON), {name}", f"{live}?range={name}"
    for name in ("15m", "year"):
        yield f"one policy, {name}", f"{policy}?range={name}&name=shop.policy7"


if __name__ == "__main__":
    sys.exit(main(["dashboard"]))
