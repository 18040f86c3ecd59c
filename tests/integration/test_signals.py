"""The signals `cache_read` and `cache_invalidated`, as a project uses them."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from django.db import transaction
from django.dispatch import receiver

from django_cachepatterns import ReadThrough, cache_aside, hooks, invalidate
from django_cachepatterns.signals import cache_invalidated, cache_read
from django_cachepatterns.testing import assert_store_commands, outage
from tests.testapp.models import Item

pytestmark = pytest.mark.django_db(transaction=True)

ITEM = "testapp.item"
sizes = ReadThrough("signal-sizes", load=len)


@cache_aside(key="signalled:{word}", tags=["words"])
def shouted(word: str) -> str:
    return word.upper()


@cache_aside(key="signalled-async:{word}")
async def whispered(word: str) -> str:
    return word.lower()


@pytest.fixture(autouse=True)
def _nobody_is_left_listening() -> Iterator[None]:
    yield
    assert hooks.after_read == hooks.after_invalidation == ()


@contextmanager
def connected(signal: Any, told: Callable[..., Any]) -> Iterator[None]:
    signal.connect(told)
    try:
        yield
    finally:
        signal.disconnect(told)


@contextmanager
def reads() -> Iterator[list[hooks.Read]]:
    found: list[hooks.Read] = []

    def note(sender: Any, read: hooks.Read, **kwargs: Any) -> None:
        found.append(read)

    with connected(cache_read, note):
        yield found


@contextmanager
def invalidations() -> Iterator[list[hooks.Invalidated]]:
    found: list[hooks.Invalidated] = []

    def note(sender: Any, invalidated: hooks.Invalidated, **kwargs: Any) -> None:
        found.append(invalidated)

    with connected(cache_invalidated, note):
        yield found


@pytest.fixture
def item() -> Item:
    return Item.objects.create(name="item", slug="item")


def told(found: list[hooks.Read]) -> list[tuple[str, tuple[str, ...]]]:
    return [(read.family, read.outcomes) for read in found]


def test_a_read_says_what_became_of_its_keys(item: Item) -> None:
    with reads() as found:
        Item.objects.get(pk=item.pk)
        Item.objects.get(pk=item.pk)
        for _ in range(2):
            with suppress(Item.DoesNotExist):
                Item.objects.get(pk=-1)
    outcomes = [("miss",), ("hit",), ("miss",), ("negative",)]
    assert told(found) == [(ITEM, outcome) for outcome in outcomes]
    assert found[0].keys[0].endswith(f":{ITEM}:{item.pk}".encode())
    assert all(0 < read.seconds < 10 for read in found)


def test_a_page_is_one_read_of_many_keys(item: Item) -> None:
    Item.objects.get(pk=item.pk)
    with reads() as found:
        Item.objects.in_bulk([item.pk, -1, -2])
    (read,) = found
    assert dict(zip(read.keys, read.outcomes, strict=True)).keys() == set(read.keys)
    assert sorted(read.outcomes) == ["hit", "miss", "miss"]


def test_every_kind_of_read_is_told(item: Item) -> None:
    shouted("a")
    sizes.get("four")
    list(Item.objects.filter(stock=0).cache())
    asyncio.run(whispered("A"))
    with reads() as found:
        shouted("a")
        sizes.get("four")
        list(Item.objects.filter(stock=0).cache())
        asyncio.run(whispered("A"))
    assert {read.outcomes for read in found} == {("hit",)}
    names = [f"{__name__}.shouted", "signal-sizes", ITEM, f"{ITEM}:list", f"{__name__}.whispered"]
    assert sorted(read.family for read in found) == sorted(names)


def test_reads_without_the_server_are_told(item: Item) -> None:
    with reads() as found, outage():
        Item.objects.get(pk=item.pk)
    assert told(found) == [(ITEM, ("outage",))]


def test_nobody_listening_costs_nothing(item: Item) -> None:
    """Not even a look at the signal: the hook is not there."""
    assert hooks.after_read == ()
    with reads():
        assert len(hooks.after_read) == 1
        with reads():
            assert len(hooks.after_read) == 1
    assert hooks.after_read == ()


def test_a_signal_costs_no_command(item: Item) -> None:
    Item.objects.get(pk=item.pk)
    with reads(), assert_store_commands(1):
        Item.objects.get(pk=item.pk)


def test_the_decorator_of_django_connects(item: Item) -> None:
    found: list[Any] = []

    @receiver(cache_read, dispatch_uid="a name")
    def note(sender: Any, read: hooks.Read, **kwargs: Any) -> None:
        found.append(sender)

    Item.objects.get(pk=item.pk)
    assert cache_read.disconnect(dispatch_uid="a name")
    Item.objects.get(pk=item.pk)
    assert found == [hooks.Read]


def test_a_receiver_that_is_gone_is_told_nothing(item: Item) -> None:
    found: list[Any] = []

    class Listener:
        def note(self, sender: Any, **kwargs: Any) -> None:
            found.append(sender)

    listener = Listener()
    cache_read.connect(listener.note)
    Item.objects.get(pk=item.pk)
    del listener
    gc.collect()
    Item.objects.get(pk=item.pk)
    assert len(found) == 1
    with reads():  # Django clears what is gone when somebody comes or goes.
        pass


def test_what_a_receiver_raises_is_not_the_reader_s(item: Item, caplog: Any) -> None:
    def fail(sender: Any, **kwargs: Any) -> None:
        raise RuntimeError("A receiver's own fault.")

    with connected(cache_read, fail), reads() as found:
        assert Item.objects.get(pk=item.pk) == item
    assert len(found) == 1
    assert "A receiver's own fault." in caplog.text


def test_each_thread_tells_of_its_own(item: Item) -> None:
    names: list[tuple[str, str]] = []

    def note(sender: Any, read: hooks.Read, **kwargs: Any) -> None:
        names.append((threading.current_thread().name, read.keys[0].decode()))

    with connected(cache_read, note):
        threads = [
            threading.Thread(target=sizes.get, args=(f"t{at}",), name=f"t{at}") for at in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(names) == 3
    assert all(key.endswith(f":{name}") for name, key in names)


def test_a_write_invalidates_when_it_commits(item: Item) -> None:
    key = f":{ITEM}:{item.pk}".encode()
    with invalidations() as found:
        with transaction.atomic():
            item.stock = 5
            item.save()
            assert found == []
        (done,) = found
    assert done.reason == "commit"
    assert any(name.endswith(key) for name in done.names)


def test_a_rollback_is_told_as_one(item: Item) -> None:
    with invalidations() as found, suppress(RuntimeError), transaction.atomic():
        Item.objects.filter(pk=item.pk).update(stock=5)
        raise RuntimeError("Not after all.")
    assert {each.reason for each in found} == {"rollback"}


def test_invalidate_is_told(item: Item) -> None:
    with invalidations() as found:
        invalidate("words")
        shouted.invalidate("a")
    assert [each.reason for each in found] == ["invalidate", "invalidate"]
    assert found[0].names[0].endswith(b":tag:words")
    assert found[1].names[0].endswith(b":fn:signalled:a")


def test_what_an_invalidation_s_receiver_raises_does_not_undo_the_write(
    item: Item, caplog: Any
) -> None:
    def fail(sender: Any, **kwargs: Any) -> None:
        raise RuntimeError("A receiver's own fault.")

    Item.objects.get(pk=item.pk)
    with connected(cache_invalidated, fail):
        Item.objects.filter(pk=item.pk).update(name="new")
    assert Item.objects.get(pk=item.pk).name == "new"
    assert "A receiver's own fault." in caplog.text


def test_a_coroutine_function_is_refused() -> None:
    """It could not be awaited where a coroutine reads, and the read would fail."""

    async def note(sender: Any, **kwargs: Any) -> None:
        """Nothing."""

    with pytest.raises(TypeError, match="Connect a plain function"):
        cache_read.connect(note)
    assert not cache_read.has_listeners()


def test_receivers_that_connect_at_once_are_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, both = hooks.add, threading.Barrier(2)

    def slow(name: str, hook: Callable[[Any], Any]) -> None:
        with suppress(threading.BrokenBarrierError):
            both.wait(0.2)  # Two of them at the same place, if they are let.
        plain(name, hook)

    monkeypatch.setattr(hooks, "add", slow)
    told: list[str] = []
    receivers = [
        lambda sender, read, **kwargs: told.append("one"),
        lambda sender, read, **kwargs: told.append("two"),
    ]
    threads = [threading.Thread(target=cache_read.connect, args=(each,)) for each in receivers]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    try:
        sizes.get("at once")
    finally:
        for receiver_ in receivers:
            cache_read.disconnect(receiver_)
    assert sorted(told) == ["one", "two"]
