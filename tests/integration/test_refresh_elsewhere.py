"""Refreshes in another thread: with the reader's language, connections of their own, and an end."""

from __future__ import annotations

import asyncio
import itertools
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from asgiref.sync import ThreadSensitiveContext, async_to_sync, sync_to_async
from django.conf import settings
from django.db import connections, transaction
from django.test import TestCase
from django.utils import timezone, translation

from django_cachepatterns import cache_aside, metrics
from django_cachepatterns.stampede.refresher import REFRESHER
from tests.testapp.models import Shelf

pytestmark = pytest.mark.django_db(transaction=True)

SOON = 0.03
SWR: dict[str, Any] = {
    "ttl": 60,
    "soft_ttl": SOON,
    "stampede": "stale_while_revalidate",
    "jitter": 0,
}
numbers = itertools.count(1)


def wait_until_fresh() -> None:
    assert REFRESHER.wait_until_idle(10)


def connected() -> int:
    """How many connections the database has."""
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
        return int(cursor.fetchone()[0])


def test_it_speaks_the_language_of_who_found_it_stale() -> None:
    @cache_aside(key=f"spoken-{next(numbers)}:{{language}}", **SWR)
    def spoken(language: str) -> list[Any]:
        return [translation.get_language(), timezone.get_current_timezone_name()]

    with translation.override("de"), timezone.override("Asia/Tokyo"):
        for _ in range(3):
            assert spoken("de") == ["de", "Asia/Tokyo"]
            time.sleep(SOON)
            wait_until_fresh()


def test_inline_a_transaction_that_has_written_leaves_the_old_value() -> None:
    called = itertools.count(1)

    @cache_aside(key=f"inline-{next(numbers)}", refresh="inline", **SWR)
    def count() -> int:
        return next(called)

    for write in (
        lambda: Shelf.objects.create(name="followed"),
        lambda: connections["default"].cursor().execute("SELECT pg_current_xact_id()"),
    ):
        count.refresh()
        old = count()
        time.sleep(SOON)
        with transaction.atomic():
            write()
            count()
            assert count.get() == old, "what others are served meanwhile is gone"


@pytest.fixture
def shelves() -> Any:
    """A coroutine function that asks the database."""

    @cache_aside(key=f"coroutine-{next(numbers)}", **SWR)
    async def shelves() -> int:
        return await Shelf.objects.acount()

    return shelves


def test_a_coroutine_function_is_refreshed_for_blocking_code(shelves: Any) -> None:
    assert async_to_sync(shelves)() == 0
    Shelf.objects.create(name="shelf")
    time.sleep(SOON)
    before, open_before = metrics.snapshot()["fill"], connected()
    assert async_to_sync(shelves)() == 0
    wait_until_fresh()
    assert metrics.snapshot()["fill"] == before + 1
    assert async_to_sync(shelves.get)() == 1
    assert connected() == open_before


def test_a_coroutine_function_is_refreshed_after_its_request(shelves: Any) -> None:
    async def request() -> int:
        async with ThreadSensitiveContext():
            try:
                return int(await shelves())
            finally:
                await sync_to_async(connections.close_all)()

    async def requests() -> None:
        for number in range(4):
            assert await request() == max(0, number - 1)
            await asyncio.to_thread(wait_until_fresh)
            await asyncio.to_thread(add_one)
            await asyncio.sleep(2 * SOON)

    def add_one() -> None:
        Shelf.objects.create(name="shelf")
        connections.close_all()

    before = connected()
    asyncio.run(requests())
    assert connected() == before


class InTestCase(TestCase):
    async def test_who_finds_it_stale_refreshes_it(self) -> None:
        @cache_aside(key=f"tested-{next(numbers)}", **SWR)
        async def shelves() -> int:
            return await Shelf.objects.acount()

        assert await shelves() == 0
        await Shelf.objects.acreate(name="seen by this test only")
        await asyncio.sleep(SOON)
        await shelves()
        assert await shelves.get() == 1


def in_a_process(body: str) -> tuple[str, float]:
    """What a process prints, and the seconds from its last line to its end."""
    head = f"""
        import os, sys, threading, time
        sys.path.insert(0, {os.getcwd()!r})
        import django
        django.setup()
        from django.conf import settings
        from django_cachepatterns import cache_aside
        settings.CACHEPATTERNS = {{**settings.CACHEPATTERNS, "KEY_PREFIX": {settings.KEY_PREFIX!r}}}
    """
    script = textwrap.dedent(head) + textwrap.dedent(body)
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    with subprocess.Popen(
        [sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        began = time.monotonic()
        try:
            process.wait(30)
        finally:
            process.kill()
    return said, time.monotonic() - began


@pytest.fixture
def hanging() -> Iterator[Callable[[int], tuple[str, float]]]:
    def run(number: int) -> tuple[str, float]:
        return in_a_process(f"""
            begun = threading.Event()

            @cache_aside(key="hanging:{{n}}", ttl=60, soft_ttl=0.01, jitter=0,
                         stampede="stale_while_revalidate")
            def hanging(n):
                if threading.current_thread() is not threading.main_thread():
                    begun.set()
                    time.sleep(20)
                return n

            for _ in range(2):
                for n in range({number}):
                    hanging(n)
                time.sleep(0.02)
            print(begun.wait(10), flush=True)
        """)

    return run


@pytest.mark.parametrize("number", [1, 40])
def test_refreshes_do_not_keep_a_process_from_ending(
    hanging: Callable[[int], tuple[str, float]], number: int
) -> None:
    said, seconds = hanging(number)
    assert said == "True\n"
    assert seconds < 10
