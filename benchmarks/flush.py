"""A flush of 100,000 rows, against a bare UPDATE .. FROM unnest of the same rows.

The tables are identical, equally full, and freshly vacuumed before each round.
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
ROUNDS = 12


def table(reports: Sequence[list[dict[str, Any]]]) -> Table:
    """What is printed."""
    return ratios(
        f"flush: counts of {ROWS:,} rows reach the database, every commit waits for the disk;\n"
        "ratios of times to a bare UPDATE .. FROM unnest of the same rows in one statement "
        "(a rate of 0.7 is a ratio of 1.43)",
        reports,
        "median, us a row",
    )


def measure(process: str, rounds: int) -> Iterable[Section]:
    """The part of the benchmark that belongs to a process."""
    from .app.models import CountedPage, PlainPage, UncachedPage

    for model in (PlainPage, CountedPage, UncachedPage):
        _fill(model)
    contenders = [
        Contender("bare UPDATE .. FROM unnest", _bare, lambda _: _arrays(PlainPage)),
        Contender("cachepatterns: flush(), rows cached", _flush, lambda _: _counted(CountedPage)),
        Contender(
            "cachepatterns: flush(), a model that is not cached",
            _flush,
            lambda _: _counted(UncachedPage),
            bar=1.43,
        ),
    ]
    contenders[1] = Contender(
        contenders[1].name, contenders[1].run, contenders[1].prepare, bar=1.43
    )
    yield compare("", process, contenders, rounds=rounds, operations=ROWS)


def _fill(model: Any) -> None:
    from .rows import execute

    name = model._meta.db_table
    execute(f"ALTER TABLE {name} SET (autovacuum_enabled = off)")
    execute(
        f"INSERT INTO {name} (title, body, views) "
        f"SELECT 'page ' || n, repeat(md5(n::text), 8), 0 FROM generate_series(1, {ROWS}) n"
    )
    execute(f"VACUUM ANALYZE {name}")


def _arrays(model: Any) -> tuple[str, str, str]:
    from .rows import vacuum

    vacuum(model)
    pks, amounts = ",".join(map(str, range(1, ROWS + 1))), ",".join(["1"] * ROWS)
    return model._meta.db_table, f"{{{pks}}}", f"{{{amounts}}}"


def _bare(given: tuple[str, str, str]) -> None:
    from django.db import connection

    name, pks, amounts = given
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {name} SET views = views + d.amount "
            "FROM unnest(%s::bigint[], %s::bigint[]) AS d(pk, amount) WHERE id = d.pk",
            [pks, amounts],
        )
        if cursor.rowcount != ROWS:
            raise RuntimeError(f"{cursor.rowcount} rows were updated, not {ROWS}")


def _counted(model: Any) -> Any:
    from .rows import vacuum

    vacuum(model)
    model.view_counter.increment_many(dict.fromkeys(range(1, ROWS + 1), 1))
    return model


def _flush(model: Any) -> None:
    done = model.view_counter.flush()
    if done.rows != ROWS:
        raise RuntimeError(f"{done} instead of {ROWS} rows")


if __name__ == "__main__":
    sys.exit(main(["flush"]))
