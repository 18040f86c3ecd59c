from __future__ import annotations

import itertools
from array import array
from collections import Counter

import pytest

from example_project.config.database import database_from_url
from example_project.demo.figures import figures, overlapping, quantile
from example_project.demo.load import Load
from example_project.demo.reader import Reads
from example_project.demo.table import text
from example_project.demo.writer import Writes

LOAD = Load(seconds=1, products=100, readers=2, writers=1, writes_per_second=10, check_share=0.02)


def reads(**changes: object) -> Reads:
    made = Reads(latencies=array("d", [0.001, 0.002]), seconds=1.0, statements=2)
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def test_loads_that_overlap_another_of_the_same_row_are_redundant() -> None:
    crowd = [(1, 0.0, 2.0), (1, 1.0, 3.0), (1, 2.5, 2.7)]
    others = [(2, 1.0, 3.0), (1, 3.5, 4.0)]
    assert overlapping([*others, *crowd]) == 2


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1.0), (0.5, 3.0), (0.99, 4.0), (1.0, 4.0)])
def test_quantile_of_a_short_list(share: float, expected: float) -> None:
    assert quantile([1.0, 2.0, 3.0, 4.0], share) == expected


def test_figures_add_up_over_processes() -> None:
    one = reads(checked=10, stale=1, outcomes={"hit": 8, "miss": 1, "fill": 1})
    two = reads(checked=5, outcomes={"negative": 1, "wait": 2, "load": 9})
    total = figures([one, two], [Writes(committed=3, rolled_back=1)])
    assert (total.reads, total.reads_per_second, total.statements) == (4, 4.0, 4)
    assert (total.checked, total.stale) == (15, 1)
    assert total.hit_rate == 9 / 12


def test_there_is_no_hit_rate_where_the_cache_was_not_asked() -> None:
    assert figures([reads(outcomes={"hit": 0, "bypass": 10})], []).hit_rate is None


def test_table_shows_both_rounds_side_by_side() -> None:
    without = figures([reads(statements=2)], [])
    cached = figures([reads(statements=1, outcomes={"hit": 1, "miss": 1})], [])
    table = text(LOAD, 0.15, without, cached).splitlines()
    assert table[0].split() == ["without", "cache", "with", "cache", "ratio"]
    assert "SQL statements 2 1 x 0.5".split() in [line.split() for line in table]
    assert "hit rate - 50.0%".split() in [line.split() for line in table]


def test_popular_products_are_picked_most_and_every_run_picks_the_same() -> None:
    picked = list(itertools.islice(LOAD.picks(range(100), "reader 0"), 5000))
    assert picked == list(itertools.islice(LOAD.picks(range(100), "reader 0"), 5000))
    assert picked != list(itertools.islice(LOAD.picks(range(100), "reader 1"), 5000))
    (first, _), (second, _) = Counter(picked).most_common(2)
    assert (first, second) == (0, 1)


def test_database_url_with_escapes() -> None:
    settings = database_from_url("postgres://a%40b:p%2Fw@db.example:5433/the%20shop")
    assert settings == {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "the shop",
        "USER": "a@b",
        "PASSWORD": "p/w",
        "HOST": "db.example",
        "PORT": 5433,
    }


def test_database_url_of_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="must be a postgres:// URL"):
        database_from_url("mysql://localhost/shop")
