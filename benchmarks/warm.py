"""Warming 100,000 rows, against a bare query of them and bare pipelined SETs of what is stored.

The bare way sends the very payloads that warming made, under the same keys and with a time to live,
and reads all columns of all rows. It encodes nothing, and is right only while nobody writes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

from .rounds import Contender, Section, compare
from .session import main
from .tables import Table, ratios

PROCESSES = ("cachepatterns",)
ROWS = 100_000
CHUNK = 1000
ROUNDS = 10
BAR = 1 / 0.7


def table(reports: Sequence[list[dict[str, Any]]]) -> Table:
    """What is printed."""
    return ratios(
        f"warm: {ROWS:,} rows of about a kilobyte get into an empty cache;\n"
        "ratios of times to a bare query of the rows and bare pipelined SETs of the same payloads "
        "(a rate of 0.7 is a ratio of 1.43)",
        reports,
    )


def measure(process: str, rounds: int) -> Iterable[Section]:
    """The part of the benchmark that belongs to a process."""
    from .app.models import PointedItem, WarmedItem

    for title, model, workers in (
        ("rows", WarmedItem, (1, 2)),
        ("rows and their lookups, two entries for each row", PointedItem, (1, 2)),
    ):
        fill(model, ROWS)
        bare = _Bare(model)
        contenders = [
            Contender(f"bare query and pipelined SET, {CHUNK:,} at once", bare, _empty(model))
        ]
        contenders += [
            Contender(_name(count), _Warm(model, count), _empty(model), bar=BAR)
            for count in workers
        ]
        yield compare(title, process, contenders, rounds=rounds, operations=ROWS)


def fill(model: Any, rows: int) -> None:
    """Make so many rows, of those that are always there."""
    from .rows import execute

    name = model._meta.db_table
    columns = [field.column for field in model._meta.concrete_fields if field.column != "id"]
    changed = {"slug": "slug || '-' || again"}
    chosen = ", ".join(changed.get(column, column) for column in columns)
    execute(f"TRUNCATE {name}")
    execute(
        f"INSERT INTO {name} ({', '.join(columns)}) SELECT {chosen} FROM benchmarks_plainitem, "
        f"generate_series(1, 100) again ORDER BY again, id LIMIT {rows}"
    )
    execute(f"VACUUM ANALYZE {name}")


def _name(workers: int) -> str:
    return f"cachepatterns: warm_cache, {workers} worker{'s' * (workers > 1)}"


def _empty(model: Any) -> Any:
    def empty(_: int) -> None:
        from django_cachepatterns.dropping import drop_entries

        drop_entries(model)

    return empty


class _Warm:
    """Warms, and says so where that was not all."""

    def __init__(self, model: Any, workers: int) -> None:
        self._model, self._workers = model, workers

    def __call__(self, _: Any) -> None:
        from django_cachepatterns.warming import warm

        done = warm(self._model, workers=self._workers)
        if done.total.filled + done.total.valid != ROWS:
            raise RuntimeError(f"{done} instead of {ROWS} rows")


class _Bare:
    """Reads the rows, and sets the entries that warming has made of them."""

    def __init__(self, model: Any) -> None:
        from .reads import bare_client

        _Warm(model, 1)(None)
        self._client = bare_client()
        self._table = model._meta.db_table
        self._entries = list(self._made(model))
        per_row = 1 + len(model.cache_policy.lookups)
        if len(self._entries) != ROWS * per_row:
            raise RuntimeError(f"{len(self._entries)} entries, not {ROWS * per_row}")
        self._at_once = CHUNK * per_row

    def _made(self, model: Any) -> Iterable[tuple[bytes, bytes]]:
        from django.conf import settings

        pattern = f"{settings.PREFIX}:{model._meta.label_lower}:[0-9s]*"
        names = list(self._client.scan_iter(pattern, count=1000))
        for at in range(0, len(names), CHUNK):
            some = names[at : at + CHUNK]
            yield from zip(some, self._client.mget(some), strict=True)

    def __call__(self, _: Any) -> None:
        from django.db import connection

        entries, at_once = iter(self._entries), self._at_once
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM {self._table}")
            while cursor.fetchmany(CHUNK):
                pipeline = self._client.pipeline(transaction=False)
                for _, (name, data) in zip(range(at_once), entries, strict=False):
                    pipeline.set(name, data, px=3_600_000)
                pipeline.execute()


if __name__ == "__main__":
    sys.exit(main(["warm"]))
