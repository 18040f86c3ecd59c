"""What cached calls are told apart by and depend on, in several databases and processes."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from django.conf import settings
from django.test import override_settings

from django_cachepatterns import ReadThrough, cache_aside, invalidate, metrics
from django_cachepatterns.codecs import Column
from django_cachepatterns.codecs.json import JsonCodec
from django_cachepatterns.codecs.kinds import ANY
from django_cachepatterns.codecs.msgpack import MsgpackCodec
from django_cachepatterns.exceptions import CodecError
from tests.testapp.models import Item, Shelf

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

numbers = itertools.count(1)


class Replicas:
    """Reads go to the other database, writes to the default one."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "other"

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return "default"


def test_rows_of_two_databases_are_two_arguments() -> None:
    @cache_aside(key=f"row-{next(numbers)}:{{shelf}}")
    def name(shelf: Shelf) -> str:
        return shelf.name

    here, there = (
        Shelf.objects.using(alias).create(pk=77, name=alias) for alias in ("default", "other")
    )
    assert [name(here), name(there), name(here)] == ["default", "other", "default"]
    with override_settings(DATABASE_ROUTERS=[Replicas()]):
        assert name.key(there) == name.key(here), "a replica's row is the primary's"


def test_a_table_is_followed_in_every_database_that_is_read() -> None:
    @cache_aside(key=f"tables-{next(numbers)}", depends_on=[Shelf], databases=["other"])
    def shelves() -> int:
        return Shelf.objects.using("other").count()

    assert shelves() == 0
    Shelf.objects.using("other").create(name="there")
    assert shelves() == 1


def test_a_set_means_the_same_in_every_process() -> None:
    """What depends on tags remembers their versions in order; a set's differs by process."""
    script = textwrap.dedent(f"""
        import sys
        sys.path.insert(0, {os.getcwd()!r})
        import django
        django.setup()
        from django_cachepatterns import ReadThrough, cache_aside
        from tests.testapp.models import Item, Label, Shelf
        for tag in "abcd":
            ReadThrough(tag, load=str, tags=tag).get(1)  # Each tag has a version of its own.
        calls = []
        @cache_aside(key="sets", tags={{"a", "b", "c", "d"}}, depends_on={{Item, Label, Shelf}},
                     databases={{"other", "default"}})
        def function():
            calls.append(1)
        function()
        print(len(calls))
    """)
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "PYTEST_XDIST_WORKER": settings.KEY_PREFIX.partition("-")[2],
    }
    said = [
        subprocess.run(
            [sys.executable, "-c", script],
            env={**environment, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    ]
    assert said == ["1\n", "0\n", "0\n"]


@pytest.mark.parametrize("codec", ["msgpack", "json"])
def test_the_second_of_two_equal_hours_stays_the_second(codec: str) -> None:
    @cache_aside(key=f"fold-{next(numbers)}", codec=codec)
    def moment() -> datetime:
        return datetime(2026, 10, 25, 2, 30, fold=1)  # noqa: DTZ001 - such are carried, too

    assert moment().fold == moment().fold == 1


@pytest.mark.parametrize("codec", [MsgpackCodec, JsonCodec])
def test_a_value_that_another_thread_changes_cannot_be_carried(codec: Any) -> None:
    def values() -> Iterator[Any]:
        shared = {1: 1}
        for key in shared:
            shared[key + 1] = 2
            yield key

    with pytest.raises(CodecError, match="changed size"):
        codec([Column("value", ANY), Column("other", ANY)]).encode(values())


@pytest.mark.parametrize("number", [3_000, 70_000])
def test_any_number_of_tags(number: int) -> None:
    calls = itertools.count(1)
    tags = [f"tag-{each}" for each in range(number)]
    values = ReadThrough(f"tags-{next(numbers)}", load=lambda key: next(calls), tags=tags)
    before = metrics.snapshot()["oversize"]
    values.get("a")
    kept = metrics.snapshot()["oversize"] == before
    assert kept is (number < 2**16)
    assert values.get("a") == (1 if kept else 2)
    invalidate(tags[-1])
    assert values.get("a") == (2 if kept else 3)


ODD = ["", " ", "é", "\0", "x" * 1000, "a:b", "*", "~rows", "\ud800", "a\r\nb", "{{"]


@pytest.mark.parametrize("tag", ODD)
def test_tags_of_any_text(tag: str) -> None:
    calls = itertools.count(1)
    values = ReadThrough(f"odd-{next(numbers)}", load=lambda key: next(calls), tags=tag)
    assert [values.get(1), values.get(1)] == [1, 1]
    for other in ODD:
        if other != tag:
            invalidate(other.replace("{{", "{"))
    assert values.get(1) == 1
    invalidate(tag.replace("{{", "{"))
    assert values.get(1) == 2


def test_a_function_that_writes_what_it_depends_on() -> None:
    @cache_aside(key=f"writes-{next(numbers)}", depends_on=[Item])
    def function() -> int:
        Item.objects.create(slug=f"slug-{next(numbers)}")
        return Item.objects.count()

    assert [function(), function(), function()] == [1, 2, 3]


def test_a_function_of_itself() -> None:
    @cache_aside(key=f"fibonacci-{next(numbers)}:{{n}}")
    def fibonacci(n: int) -> int:
        return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)

    assert fibonacci(30) == 832040
