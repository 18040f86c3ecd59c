"""Values by key: read through and written through the cache."""

from __future__ import annotations

import asyncio
import gc
import importlib
import itertools
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis
from django.db import connections, transaction
from django.test import TestCase, override_settings

from django_cachepatterns import ReadThrough, WriteThrough, entry, hooks, invalidate, metrics
from django_cachepatterns.arguments import UnstableArgument
from django_cachepatterns.conf import config
from django_cachepatterns.exceptions import PolicyError
from django_cachepatterns.read_through import refresh_stale
from django_cachepatterns.stores.channel import Channel
from example_project.servers import Valkey
from tests.testapp.models import Item

pytestmark = pytest.mark.django_db(transaction=True)

numbers = itertools.count(1)


@pytest.fixture
def name() -> str:
    return f"values-{next(numbers)}"


@contextmanager
def round_trips(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytes]]:
    trips: list[bytes] = []

    def spied(method: Callable[..., Any]) -> Callable[..., Any]:
        def send(channel: Channel, packed: bytes, *args: Any) -> Any:
            trips.append(packed)
            return method(channel, packed, *args)

        return send

    with monkeypatch.context() as patch:
        for each in ("call", "call_many", "post"):
            patch.setattr(Channel, each, spied(getattr(Channel, each)))
        yield trips


class Place:
    """Where values are kept; it counts what is asked of it."""

    def __init__(self, **values: Any) -> None:
        self.values: dict[Any, Any] = dict(values)
        self.loads: list[Any] = []
        self.many: list[list[Any]] = []

    def load(self, key: Any) -> Any:
        self.loads.append(key)
        return self.values[key]

    def load_many(self, keys: list[Any]) -> dict[Any, Any]:
        self.many.append(keys)
        return {key: self.values[key] for key in keys if key in self.values}

    async def aload(self, key: Any) -> Any:
        return self.load(key)

    async def aload_many(self, keys: list[Any]) -> dict[Any, Any]:
        return self.load_many(keys)

    def write(self, key: Any, value: Any) -> None:
        self.values[key] = value

    def delete(self, key: Any) -> None:
        del self.values[key]


@pytest.fixture
def place() -> Place:
    return Place(a=1, b=None, c=[3])


# Reading


def test_a_value_is_loaded_once(name: str, place: Place, redis_client: Any) -> None:
    values = ReadThrough(name, load=place.load)
    assert [values.get("c"), values.get("c")] == [[3], [3]]
    assert place.loads == ["c"]
    assert redis_client.get(f"{config().key_space().root}:value:{name}:c")
    values.get("c").append(4)
    assert values.get("c") == [3]


def test_none_is_a_value(name: str, place: Place) -> None:
    values = ReadThrough(name, load=place.load)
    assert [values.get("b", "default"), values.get("b", "default")] == [None, None]
    assert place.loads == ["b"]


def test_absence_is_remembered_until_it_is_invalidated(name: str, place: Place) -> None:
    values = ReadThrough(name, load=place.load)
    assert [values.get("x"), values.get("x", "default")] == [None, "default"]
    assert place.loads == ["x"]
    place.values["x"] = 9
    assert values.get("x") is None
    values.invalidate("x")
    assert values.get("x") == 9


def test_absence_need_not_be_remembered(name: str, place: Place) -> None:
    values = ReadThrough(name, load=place.load, negative_ttl=0)
    values.get("x")
    place.values["x"] = 9
    assert values.get("x") == 9


def test_many_are_one_round_trip_and_one_load(
    name: str, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.values.update({n: n * n for n in range(50)})
    values = ReadThrough(name, load=place.load, load_many=place.load_many)
    assert values.get(7) == 49
    expected = {n: n * n for n in range(50)}
    assert values.get_many([*range(50), "x", 3]) == expected
    assert place.loads == [7]
    assert place.many == [[n for n in range(50) if n != 7] + ["x"]]
    with round_trips(monkeypatch) as trips:
        assert values.get_many(range(50)) == expected
    assert len(trips) == 1
    with round_trips(monkeypatch) as trips:
        assert values.get_many(iter([])) == {}
    assert trips == []
    assert len(place.many) == 1


def test_load_does_for_many_and_load_many_for_one(name: str, place: Place) -> None:
    single = ReadThrough(name, load=place.load)
    assert single.get_many(["a", "b", "x"]) == {"a": 1, "b": None}
    assert place.loads == ["a", "b", "x"]
    many = ReadThrough(f"{name}-many", load_many=place.load_many)
    assert many.get("a") == 1
    assert many.get("x", "default") == "default"
    assert place.many == [["a"], ["x"]]


def test_keys_of_different_types_are_different_keys(name: str) -> None:
    values = ReadThrough(name, load=repr)
    keys = [1, "1", True, None, "None", 1.0, (1,), "(1,)", b"1"]
    assert [values.get(key) for key in keys] == [repr(key) for key in keys]
    assert [values.get(key) for key in keys] == [repr(key) for key in keys]
    with pytest.raises(UnstableArgument, match=r"ReadThrough 'values-\d+': the key is a"):
        values.get(object())


def test_refresh_loads_whatever_there_is(name: str, place: Place) -> None:
    values = ReadThrough(name, load=place.load)
    assert values.get("a") == 1
    place.values["a"] = 2
    assert [values.get("a"), values.refresh("a"), values.get("a")] == [1, 2, 2]
    del place.values["a"]
    assert values.refresh("a", "gone") == "gone"
    assert values.get("a") is None


def test_invalidate_many(name: str, place: Place) -> None:
    values = ReadThrough(name, load=place.load)
    values.get_many(["a", "b", "c"])
    values.invalidate_many(["a", "c"])
    place.loads.clear()
    values.get_many(["a", "b", "c"])
    assert place.loads == ["a", "c"]


def test_tags_and_tables(name: str) -> None:
    calls = itertools.count(1)
    values = ReadThrough(
        name, load=lambda key: next(calls), tags=["all", "one:{key}"], depends_on=[Item]
    )

    def both() -> list[int]:
        return [values.get("a"), values.get("b")]

    assert both() == both() == [1, 2]
    invalidate("one:a")
    assert both() == both() == [3, 2]
    invalidate("all")
    assert both() == both() == [4, 5]
    Item.objects.create(name="x", slug="x")
    assert both() == both() == [6, 7]


def test_what_the_loader_raises_reaches_the_caller(name: str) -> None:
    def load(key: Any) -> Any:
        raise ZeroDivisionError

    values = ReadThrough(name, load=load)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            values.get("a")


def test_a_load_many_that_gives_no_dict_is_told_so(name: str) -> None:
    values = ReadThrough(name, load_many=lambda keys: list(keys))
    with pytest.raises(TypeError, match="load_many gave a list"):
        values.get("a")


def test_another_version_is_a_miss(name: str, place: Place) -> None:
    assert ReadThrough(name, load=place.load).get("a") == 1
    place.values["a"] = 2
    assert ReadThrough(name, load=place.load).get("a") == 1
    assert ReadThrough(name, load=place.load, version=2).get("a") == 2


def test_a_herd_loads_once(name: str) -> None:
    loads: list[Any] = []

    def load(key: Any) -> Any:
        loads.append(key)
        time.sleep(0.1)  # the work
        return key

    values = ReadThrough(name, load=load)
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(values.get("a"))) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert found == ["a"] * 12
    assert loads == ["a"]


def test_an_invalidation_during_the_load_refuses_the_fill(
    name: str, place: Place, elsewhere: Any
) -> None:
    values = ReadThrough(name, load=place.load)
    done: list[bool] = []

    def meanwhile(details: hooks.Loaded) -> None:
        if not done:
            done.append(True)
            place.values["a"] = 2
            elsewhere(lambda: values.invalidate("a"))

    refused = metrics.snapshot()["refused_fill"]
    with hooks.listening(before_fill=meanwhile):
        assert values.get("a") == 1, "what it was when the read began"
    assert metrics.snapshot()["refused_fill"] == refused + 1
    assert values.get("a") == 2


def test_it_can_be_switched_off(name: str, place: Place) -> None:
    values = ReadThrough(name, load=place.load)
    values.get("a")
    with override_settings(CACHEPATTERNS={**config().raw, "ENABLED": False}):
        place.values["a"] = 2
        assert [values.get("a"), values.refresh("a"), values.get("x", 0)] == [2, 2, 0]
        assert values.get_many(["a", "x"]) == {"a": 2}
        values.invalidate("a")
    assert values.get("a") == 2


def test_with_the_cache_killed_values_are_loaded(
    name: str, place: Place, own_valkey: Valkey
) -> None:
    caches = {"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": own_valkey.url}}
    values = WriteThrough(name, load=place.load, write=place.write)
    with override_settings(CACHES=caches, CACHEPATTERNS={"TIMEOUT": 0.1}):
        assert values.get("a") == 1
        own_valkey.kill()
        try:
            assert values.get_many(["a", "b", "x"]) == {"a": 1, "b": None}
            values.set("a", 2)
            assert values.get("a") == 2
            values.invalidate("a")
        finally:
            own_valkey.start()
        assert [values.get("a"), values.get("a")] == [2, 2]


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ({}, "nothing loads it"),
        ({"load": 5}, "5 cannot be called"),
        ({"load": Place().load, "load_many": Place().aload_many}, "Make both, or none"),
        ({"load": repr, "ttl": -1}, "ttl is -1"),
        ({"load": repr, "lookups": ["a"]}, "lookups is for models"),
        ({"load": repr, "tags": "one:{keys}"}, r"\{keys\} is no parameter"),
        ({"load": Place().aload, "refresh": "inline"}, "Use refresh='thread'"),
    ],
)
def test_what_is_wrong_is_refused_at_once(name: str, arguments: Any, fault: str) -> None:
    with pytest.raises(PolicyError, match=fault):
        ReadThrough(name, **arguments)
    with pytest.raises(PolicyError, match="must be a text"):
        ReadThrough(5, load=repr)  # type: ignore[arg-type]


def test_a_name_is_one_instances_own(name: str, place: Place) -> None:
    first = ReadThrough(name, load=place.load)
    with pytest.raises(PolicyError, match=r"loads by .*Place\.load_many, but .*Place\.load\. "):
        ReadThrough(name, load_many=place.load_many)
    with pytest.raises(PolicyError, match="Give each a name of its own"):
        WriteThrough(name, load=place.load, write=place.write)
    del first
    gc.collect()
    ReadThrough(name, load_many=place.load_many)


def test_a_module_can_be_imported_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = (
        "from functools import partial\n"
        "from django_cachepatterns import ReadThrough\n"
        "def load(key, more=1): return key\n"
        "values = ReadThrough('reloaded', load=partial(load, more=2))\n"
    )
    (tmp_path / "of_its_own.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    module = importlib.import_module("of_its_own")
    first = module.values
    assert first.get(1) == 1
    module = importlib.reload(module)
    assert module.values is not first
    assert module.values.get(1) == 1
    monkeypatch.delitem(sys.modules, "of_its_own")


def test_the_loader_may_be_anything_that_can_be_called(name: str) -> None:
    class Loader:
        def __call__(self, key: Any) -> Any:
            return key

    class AsyncLoader:
        async def __call__(self, key: Any) -> Any:
            return key

    for at, load in enumerate([Loader(), partial(repr), AsyncLoader(), str]):
        assert str(ReadThrough(f"{name}-{at}", load=load).get(7)) == "7"


def test_what_another_process_found_stale_can_be_refreshed(name: str, place: Place) -> None:
    values = ReadThrough(
        name, load=place.load, ttl=60, soft_ttl=0.05, stampede="stale_while_revalidate"
    )
    assert values.get("a") == 1
    reader = values._live.reader()
    assert reader is not None
    recipe = reader.source.recipe(values._asked("a"))
    assert recipe == {"kind": "value", "name": name, "key": "a"}
    place.values["a"] = 2
    time.sleep(0.06)  # until it is stale
    assert refresh_stale(recipe)
    assert values.get("a") == 2
    assert not refresh_stale({**recipe, "name": "another"})
    assert reader.source.recipe(values._asked((1,))) is None


# Coroutines


def test_coroutines_read_by_coroutine_functions(name: str, place: Place) -> None:
    values = ReadThrough(name, load=place.aload, load_many=place.aload_many)

    async def scenario() -> None:
        assert await values.aget("a") == 1
        assert await values.aget("a") == 1
        assert await values.aget("x", "default") == "default"
        assert await values.aget_many(["a", "b", "c", "y"]) == {"a": 1, "b": None, "c": [3]}
        assert await values.aget_many([]) == {}
        place.values["a"] = 2
        assert await values.aget("a") == 1
        assert await values.arefresh("a") == 2
        place.values["a"] = 3
        await values.ainvalidate("a")
        assert await values.aget("a") == 3
        place.values["a"] = 4
        await values.ainvalidate_many(["a"])
        assert await values.aget("a") == 4
        with override_settings(CACHEPATTERNS={**config().raw, "ENABLED": False}):
            assert await values.aget("a") == 4
            assert await values.arefresh("a") == 4
            assert await values.aget_many(["a", "y"]) == {"a": 4}

    asyncio.run(scenario())
    assert place.loads == ["a", "x", "a", "a", "a", "a", "a"]
    assert place.many == [["b", "c", "y"], ["a", "y"]]
    assert values.get("a") == 4, "from blocking code"
    assert values.refresh("a") == 4
    assert values.get_many(["a", "b"]) == {"a": 4, "b": None}


def test_coroutines_read_by_plain_functions(name: str, place: Place) -> None:
    values = WriteThrough(name, load=place.load, write=place.write, delete=place.delete)

    async def scenario() -> None:
        assert await values.aget("a") == 1
        assert await values.aget_many(["a", "b"]) == {"a": 1, "b": None}
        assert await values.arefresh("a") == 1
        await values.aset("a", 5)
        assert await values.aget("a") == 5
        await values.adelete("a")
        assert await values.aget("a") is None

    asyncio.run(scenario())


# Writing


@pytest.fixture
def stock() -> WriteThrough:
    """The stock of items, by slug."""

    def load(slug: str) -> int:
        found = Item.objects.filter(slug=slug).values_list("stock", flat=True).first()
        if found is None:
            raise KeyError(slug)
        return found

    def write(slug: str, stock: int) -> None:
        Item.objects.update_or_create(slug=slug, defaults={"stock": stock})

    def delete(slug: str) -> None:
        Item.objects.filter(slug=slug).delete()

    return WriteThrough(f"stock-{next(numbers)}", load=load, write=write, delete=delete)


def test_what_was_written_is_read(stock: WriteThrough, elsewhere: Any) -> None:
    assert stock.get("a") is None
    stock.set("a", 1)
    assert stock.get("a") == elsewhere(lambda: stock.get("a")) == 1
    stock.set("a", 2)
    assert stock.get("a") == elsewhere(lambda: stock.get("a")) == 2
    stock.delete("a")
    assert stock.get("a", "gone") == elsewhere(lambda: stock.get("a", "gone")) == "gone"


def test_what_was_written_is_in_the_cache_at_once(name: str, place: Place) -> None:
    values = WriteThrough(name, load=place.load, write=place.write)
    values.set("a", 2)
    values.set("new", None)
    assert place.loads == ["a", "new"], "what was written is read again"
    assert [values.get("a"), values.get("new", "default")] == [2, None]
    assert place.loads == ["a", "new"]
    with transaction.atomic():
        values.set("a", 3)
        values.set("b", 4)
        assert place.loads == ["a", "new"]
    place.loads.clear()
    assert values.get_many(["a", "b"]) == {"a": 3, "b": 4}
    assert place.loads == []


def test_a_loader_that_fails_after_the_write_does_not_fail_the_write(
    name: str, place: Place, caplog: Any
) -> None:
    fails = [True]

    def load(key: Any) -> Any:
        if fails[0]:
            raise ZeroDivisionError
        return place.load(key)

    values = WriteThrough(name, load=load, write=place.write)
    values.set("a", 2)
    assert "cannot be loaded again" in caplog.text
    with pytest.raises(ZeroDivisionError):
        values.get("a")
    fails[0] = False
    assert values.get("a") == 2


def test_by_coroutine_functions_too(name: str, place: Place) -> None:
    values = WriteThrough(name, load=place.aload, write=place.write)

    async def scenario() -> None:
        await values.aset("a", 2)
        assert place.loads == ["a"]
        assert await values.aget("a") == 2
        assert place.loads == ["a"]

    asyncio.run(scenario())


def test_what_blocking_code_stores_is_a_hit_for_coroutines_in_any_thread(
    name: str, place: Place, elsewhere: Any
) -> None:
    values = WriteThrough(name, load=place.aload, write=place.write)
    values.set("a", 2)
    assert elsewhere(lambda: asyncio.run(values.aget("a"))) == 2
    assert place.loads == ["a"]


def test_the_entry_is_marked_while_it_is_written(
    name: str, place: Place, redis_client: Any
) -> None:
    states: list[bytes | None] = []
    key = f"{config().key_space().root}:value:{name}:a"

    def write(key_: Any, value: Any) -> None:
        data = redis_client.get(key)
        states.append(data[:1] if data else data)

    values = WriteThrough(name, load=place.load, write=write)
    values.get("a")
    values.set("a", 2)
    assert states == [entry.MARK]
    assert values.get("a") == 1


def test_nothing_is_written_before_the_mark_stands(
    name: str, place: Place, own_valkey: Valkey
) -> None:
    caches = {"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": own_valkey.url}}
    with override_settings(CACHES=caches, CACHEPATTERNS={"TIMEOUT": 5}):
        begun: list[float] = []
        values = WriteThrough(
            name, load=place.load, write=lambda key, value: begun.append(time.monotonic())
        )
        values.get("a")
        with redis.Redis.from_url(own_valkey.url) as client:
            asked = time.monotonic()
            client.client_pause(300)
        values.set("a", 2)
    assert begun[0] - asked > 0.25


def test_a_reader_during_the_write_stores_nothing(name: str, place: Place, elsewhere: Any) -> None:
    def write(key: Any, value: Any) -> None:
        assert elsewhere(lambda: values.get("a")) == 1
        place.values[key] = value
        assert elsewhere(lambda: values.get("a")) == 2

    values = WriteThrough(name, load=place.load, write=write)
    assert values.get("a") == 1
    values.set("a", 2)
    assert values.get("a") == 2


def test_a_load_under_way_when_it_is_written_is_not_stored(
    name: str, place: Place, elsewhere: Any
) -> None:
    values = WriteThrough(name, load=place.load, write=place.write)
    done: list[bool] = []

    def meanwhile(details: hooks.Loaded) -> None:
        if not done:
            done.append(True)
            elsewhere(lambda: values.set("a", 2))

    with hooks.listening(before_fill=meanwhile):
        values.get("a")
    assert values.get("a") == 2


def test_a_write_that_fails_leaves_the_old_value(name: str, place: Place) -> None:
    def write(key: Any, value: Any) -> None:
        raise ZeroDivisionError

    values = WriteThrough(name, load=place.load, write=write)
    assert values.get("a") == 1
    with pytest.raises(ZeroDivisionError):
        values.set("a", 2)
    assert place.loads == ["a"], "who knows what a failed write has done: nothing is stored"
    assert [values.get("a"), values.get("a")] == [1, 1]
    assert place.loads == ["a", "a"], "it is cached again"


def test_in_a_transaction_others_see_it_from_the_commit_on(
    stock: WriteThrough, elsewhere: Any
) -> None:
    stock.set("a", 1)
    assert stock.get("a") == 1
    with transaction.atomic():
        stock.set("a", 2)
        assert stock.get("a") == 2
        assert elsewhere(lambda: stock.get("a")) == 1
        assert stock.get("a") == 2
    assert stock.get("a") == elsewhere(lambda: stock.get("a")) == 2
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        stock.set("a", 3)
        assert stock.get("a") == 3
        raise ZeroDivisionError
    assert stock.get("a") == elsewhere(lambda: stock.get("a")) == 2


def test_two_writers_at_once_end_with_what_stands_in_the_database(stock: WriteThrough) -> None:
    stock.set("a", 0)

    def write(n: int) -> None:
        try:
            for at in range(10):
                with transaction.atomic():
                    stock.set("a", n * 100 + at)
                stock.get("a")
        finally:
            connections.close_all()

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert stock.get("a") == Item.objects.nocache().get(slug="a").stock


def test_what_cannot_be_deleted_says_so(name: str, place: Place) -> None:
    values = WriteThrough(name, load=place.load, write=place.write)
    with pytest.raises(TypeError, match="Give it delete="):
        values.delete("a")


@pytest.mark.parametrize("write", [5, Place().aload])
def test_the_writer_must_be_a_plain_function(name: str, place: Place, write: Any) -> None:
    with pytest.raises(PolicyError, match="no plain function"):
        WriteThrough(name, load=place.load, write=write)


class TestInTestCase(TestCase):
    def test_what_was_written_is_read(self) -> None:
        place = Place()
        values = WriteThrough("in-a-test-case", load=place.load, write=place.write)
        assert values.get("a") is None
        values.set("a", 1)
        assert [values.get("a"), values.get("a")] == [1, 1]
        with transaction.atomic():
            values.set("a", 2)
            assert values.get("a") == 2
        assert values.get("a") == 2
        assert place.loads[-1] == "a"
