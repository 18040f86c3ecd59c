"""What cannot be kept makes nobody wait for it: its readers load side by side."""

from __future__ import annotations

import itertools
import threading
from typing import Any

import pytest
from django.db import connections, transaction

from django_cachepatterns import cache_aside, metrics
from tests.testapp.models import Category, Shelf

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

READERS = 4
numbers = itertools.count(1)


def together(read: Any, loading: threading.Semaphore, go: threading.Event) -> bool:
    """Whether all of some threads' loads are under way at once."""

    def target() -> None:
        try:
            read()
        finally:
            connections.close_all()

    threads = [threading.Thread(target=target) for _ in range(READERS)]
    for thread in threads:
        thread.start()
    # Less than the second for which one would wait for another.
    all_at_once = all(loading.acquire(timeout=0.9) for _ in threads)
    go.set()
    for thread in threads:
        thread.join(20)
    return all_at_once


def read_replica() -> str:
    return str(Shelf.objects.using("other").count())


@pytest.mark.parametrize(
    ("options", "result"),
    [
        ({}, object),
        ({"max_size": 40}, lambda: "x" * 100),
        ({"max_size": 1}, lambda: ""),
        ({"admit_after": 100}, lambda: "cold"),
        ({}, read_replica),
    ],
    ids=["cannot be carried", "too large", "smaller than any", "cold", "of a replica"],
)
def test_what_cannot_be_kept(options: dict[str, Any], result: Any) -> None:
    go, loading = threading.Event(), threading.Semaphore(0)

    @cache_aside(key=f"not-kept-{next(numbers)}", ttl=60, **options)
    def function() -> Any:
        loading.release()
        assert go.wait(10)
        return result()

    go.set()
    function()
    loading.acquire()
    go.clear()
    assert together(function, loading, go)
    assert function.get() is None


def test_what_is_read_in_a_transaction_that_has_written() -> None:
    go, loading = threading.Event(), threading.Semaphore(0)

    @cache_aside(key=f"not-kept-{next(numbers)}", ttl=60)
    def function() -> str:
        loading.release()
        assert go.wait(10)
        return "x"

    def request() -> None:
        with transaction.atomic():
            Shelf.objects.create(name="any")
            function()

    assert together(request, loading, go)
    assert function.get() is None


@pytest.mark.parametrize("kind", ["row", "list"])
def test_a_transaction_that_has_written_takes_no_lease(kind: str) -> None:
    shelf = Shelf.objects.create(name="read")
    before = metrics.snapshot()
    with transaction.atomic():
        Category.objects.create(name="written")
        if kind == "row":
            assert Shelf.objects.get(pk=shelf.pk) == shelf
        else:
            assert list(Shelf.objects.order_by("name").cache()) == [shelf]
    after = metrics.snapshot()
    assert after["load"] == before["load"] + 1
    assert Shelf.objects.get(pk=shelf.pk) == shelf
    assert metrics.snapshot()["fill"] == after["fill"] + 1
