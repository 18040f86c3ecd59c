"""A rank among a hundred thousand, against counting who is better in SQL."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Any

from .placement import placements
from .rounds import Contender, Section, compare
from .session import main
from .tables import Table

PROCESSES = ("cachepatterns",)
MEMBERS = 100_000
SCORES = 20_000
"""Different ones: each is shared by five."""
READS = 20
ROUNDS = 40
BAR = 100
_CHECKED = 50


def table(reports: Sequence[list[dict[str, Any]]]) -> Table:
    """What is printed."""
    lines: list[Sequence[str]] = [
        ("", "times rank()", "10th..90th", "median, us", "bar of rank()"),
    ]
    for section in (each for report in reports for each in report):
        lines += [(), (section["title"],)]
        lines += [_line(each) for each in section["measured"]]
    return Table(
        f"leaderboard: the ranks of {READS} random members of {MEMBERS:,} a round, {SCORES:,} "
        "different scores;\nhow many times as long SQL takes, in the same process and round",
        lines,
    )


def _line(measured: dict[str, Any]) -> Sequence[str]:
    ratio, bar = measured["ratio"], measured["bar"]
    return (
        f"    {measured['name']}",
        "1" if ratio is None else f"{ratio:,.1f}",
        "" if ratio is None else f"{measured['low']:,.1f}..{measured['high']:,.1f}",
        f"{measured['time']:,.1f}",
        "" if bar is None else f">= {bar:g} times as fast: {'met' if ratio >= bar else 'MISSED'}",
    )


def measure(process: str, rounds: int) -> Iterable[Section]:
    """The part of the benchmark that belongs to a process."""
    from .app.models import IndexedPlayer, RankedPlayer, ranking

    for model in (RankedPlayer, IndexedPlayer):
        _fill(model)
    ranking.rebuild()
    own = Random(7)
    some = [own.sample(range(1, MEMBERS + 1), READS) for _ in range(rounds * 2)]

    def ranks(rank: Callable[[int], object]) -> Callable[[Sequence[int]], None]:
        def run(pks: Sequence[int]) -> None:
            for pk in pks:
                rank(pk)

        return run

    plain, indexed = _counted(RankedPlayer), _counted(IndexedPlayer)
    _check(ranking.rank, plain, indexed)
    around = ranks(lambda pk: ranking.around(pk, 5))
    contenders = [
        Contender("cachepatterns: rank()", ranks(ranking.rank), some.__getitem__),
        Contender("cachepatterns: around(n=5)", around, some.__getitem__),
        Contender("SQL: count(*)", ranks(plain), some.__getitem__, bar=BAR),
        Contender("SQL: count(*), an index", ranks(indexed), some.__getitem__, bar=BAR),
    ]
    for placement in placements():
        yield compare(placement, process, contenders, rounds=rounds, operations=READS)
    _check(ranking.rank, plain, indexed)


def _counted(model: Any) -> Callable[[int], int]:
    """Rank by counting who is better: the score by its key, and then the count."""
    from django.db import connection

    table = model._meta.db_table
    # Two counts, because PostgreSQL does not use the index for "or".
    sql = (
        f"WITH own AS (SELECT id, score FROM {table} WHERE id = %s) "
        f"SELECT 1 + (SELECT count(*) FROM {table} WHERE score > (SELECT score FROM own)) "
        f"+ (SELECT count(*) FROM {table} "
        "WHERE score = (SELECT score FROM own) AND id < (SELECT id FROM own))"
    )

    def rank(pk: int) -> int:
        with connection.cursor() as cursor:
            cursor.execute(sql, [pk])
            return int(cursor.fetchone()[0])

    return rank


def _fill(model: Any) -> None:
    from .rows import execute

    table = model._meta.db_table
    execute(
        f"INSERT INTO {table} (score) "
        f"SELECT (n * 7919) % {SCORES} FROM generate_series(1, {MEMBERS}) AS n"
    )
    execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
    execute(f"VACUUM ANALYZE {table}")


def _check(*ranks: Callable[[int], object]) -> None:
    for pk in Random(8).sample(range(1, MEMBERS + 1), _CHECKED):
        found = [rank(pk) for rank in ranks]
        if len(set(found)) > 1:
            raise AssertionError(f"The ranks of member {pk} differ: {found}.")


if __name__ == "__main__":
    sys.exit(main(["leaderboard"]))
