"""Cache-aside functions: called once, never stale after an invalidation, themselves otherwise."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import logging
import pickle
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar

import pytest
from asgiref.sync import sync_to_async
from django.db import connections, transaction
from django.test import TestCase, override_settings

from django_cachepatterns import CachePolicy, cache_aside, hooks, invalidate, metrics
from django_cachepatterns.arguments import UnstableArgument
from django_cachepatterns.cache_aside import refresh_stale
from django_cachepatterns.conf import config
from django_cachepatterns.exceptions import PolicyError
from django_cachepatterns.transactions.delivery import drop
from django_cachepatterns.values import dependency_problems
from example_project.servers import Valkey
from tests.integration.crowd import in_threads
from tests.testapp.models import Basket, Cafe, Item, ItemProxy, Place, Shelf, TtlOnly

pytestmark = pytest.mark.django_db(transaction=True)

numbers = itertools.count(1)


class Counted:
    """Counts the calls of a function."""

    calls = 0

    def __call__(self) -> int:
        self.calls += 1
        return self.calls


searches, coroutines = Counted(), Counted()


@cache_aside(key="search:{query}:{page}", ttl=60)
def search(query: str, page: int = 1) -> dict[str, Any]:
    """Search the shop."""
    return {"query": query, "page": page, "call": searches()}


@pytest.fixture(autouse=True)
def _start_anew() -> None:
    searches.calls = coroutines.calls = Shop.calls.calls = 0


# What the function gets


def test_a_second_call_is_a_hit(redis_client: Any) -> None:
    assert search("shoe")["call"] == 1
    assert search("shoe", 1) == search(query="shoe") == {"query": "shoe", "page": 1, "call": 1}
    assert search("shoe", page=2)["call"] == 2
    assert search("boot")["call"] == 3
    assert search.key("shoe") == "search:shoe:1"
    assert redis_client.get(f"{config().key_space().root}:fn:search:shoe:1")


def test_a_hit_is_a_copy_of_the_callers_own() -> None:
    search("shoe")
    search("shoe")["query"] = "spoiled"
    assert search("shoe")["query"] == "shoe"


def test_get_does_not_call() -> None:
    assert search.get("shoe") is None
    assert search.get("shoe", default="nothing") == "nothing"
    assert searches.calls == 0
    search("shoe")
    assert search.get("shoe")["call"] == 1


def test_refresh_calls_and_stores() -> None:
    assert search.refresh("shoe")["call"] == 1
    assert search.refresh("shoe")["call"] == 2
    assert search("shoe")["call"] == 2


def test_invalidate_forgets() -> None:
    search("shoe")
    search("boot")
    search.invalidate("shoe")
    assert search.get("shoe") is None
    assert search("shoe")["call"] == 3
    assert search("boot")["call"] == 2


def test_uncached_is_the_function_itself() -> None:
    search("shoe")
    assert search.uncached("shoe")["call"] == 2
    assert search("shoe")["call"] == 1


def test_none_is_a_value() -> None:
    calls = Counted()

    @cache_aside(ttl=60)
    def nothing(n: int) -> None:
        calls()

    assert nothing(1) is None
    assert nothing(1) is None
    assert calls.calls == 1
    assert nothing.get(1, default="missing") is None
    assert nothing.get(2, default="missing") == "missing"


def test_values_come_back_as_they_were() -> None:
    value = {
        "price": Decimal("9.90"),
        "at": datetime(2026, 1, 2, tzinfo=UTC),
        "tags": {"a", "b"},
        ("a", 1): [frozenset({1}), b"x", None, True, 1.5],
    }

    @cache_aside
    def everything() -> dict[Any, Any]:
        return value

    assert everything() == everything() == value
    assert everything.get() == value


def test_the_ttl_is_the_policys(redis_client: Any) -> None:
    search("shoe")
    left = redis_client.pttl(f"{config().key_space().root}:fn:search:shoe:1")
    assert 53_000 < left <= 60_000


def test_it_still_looks_like_the_function() -> None:
    assert search.__name__ == "search"
    assert search.__doc__ == "Search the shop."
    assert search.__module__ == __name__
    assert inspect.signature(search) == inspect.signature(inspect.unwrap(search))
    assert not inspect.iscoroutinefunction(search)
    assert pickle.loads(pickle.dumps(search)) is search
    assert "test_cache_aside.search" in repr(search)


def test_a_wrong_call_raises_as_the_function_does() -> None:
    with pytest.raises(TypeError):
        search()  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        search("shoe", 1, 2)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        search.invalidate()
    assert searches.calls == 0


def test_an_argument_without_a_stable_text_is_refused() -> None:
    with pytest.raises(UnstableArgument, match=r"search: the key .*'query' is a builtins\.object"):
        search(object())


def test_two_functions_with_one_template_never_share_a_value() -> None:
    def made(name: str) -> Any:
        def function(n: int) -> str:
            return name

        function.__qualname__ = name
        return cache_aside(key="same:{n}")(function)

    one, other = made("one"), made("other")
    assert [one(1), other(1), one(1), other(1)] == ["one", "other", "one", "other"]


def test_another_version_is_a_miss() -> None:
    def made(version: int) -> Any:
        def function(n: int) -> int:
            return version

        return cache_aside(key="v:{n}", version=version)(function)

    assert [made(1)(1), made(2)(1), made(2).get(1), made(1).get(1)] == [1, 2, 2, None]


def test_what_it_raises_reaches_the_caller_and_nothing_is_kept(redis_client: Any) -> None:
    calls = Counted()

    @cache_aside(key="failing")
    def failing() -> str:
        if calls() < 3:
            raise ZeroDivisionError
        return "at last"

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            failing()
        assert redis_client.get(f"{config().key_space().root}:fn:failing") is None
    assert failing() == failing() == "at last"
    assert calls.calls == 3


def test_a_value_that_cannot_be_carried_is_returned_and_said_once(caplog: Any) -> None:
    item = Item.objects.create(name="x", slug="x")
    calls = Counted()

    @cache_aside(key="row:{n}")
    def row(n: int) -> Any:
        calls()
        return item

    before = metrics.snapshot()["unencodable"]
    with caplog.at_level(logging.WARNING, "django_cachepatterns"):
        for n in (1, 1, 2):
            assert row(n) is item
    assert calls.calls == 3
    assert metrics.snapshot()["unencodable"] > before
    assert caplog.text.count("is not cached") == 1
    assert "return .values(), or primary keys" in caplog.text


def test_a_queryset_is_not_cached() -> None:
    @cache_aside(key="rows")
    def rows() -> Any:
        return Item.objects.all()

    rows()
    assert rows.get() is None


def test_it_can_be_switched_off() -> None:
    search("shoe")
    with override_settings(CACHEPATTERNS={**config().raw, "ENABLED": False}):
        assert search("shoe")["call"] == 2
        assert search.get("shoe") is None
        assert search.refresh("shoe")["call"] == 3
        search.invalidate("shoe")
    assert search("shoe")["call"] == 4


def test_tenants_have_values_of_their_own(settings: Any) -> None:
    tenant = ["acme"]
    settings.CACHEPATTERNS = {**settings.CACHEPATTERNS, "TENANT": lambda: tenant[0]}
    assert search("shoe")["call"] == 1
    tenant[0] = "globex"
    assert search("shoe")["call"] == 2
    search.invalidate("shoe")
    tenant[0] = "acme"
    assert search("shoe")["call"] == 1


# Methods


class Shop:
    calls: ClassVar[Counted] = Counted()

    def __init__(self, region: str) -> None:
        self.region = region

    @cache_aside(key="top:{self.region}:{n}")
    def top(self, n: int) -> str:
        return f"{self.region} {n} {self.calls()}"

    @cache_aside
    def everything(self) -> str:
        return self.region

    @cache_aside
    @classmethod
    def inner(cls, n: int = 1) -> str:
        return f"{cls.__name__} {n} {cls.calls()}"

    @classmethod
    @cache_aside
    def outer(cls, n: int = 1) -> str:
        return f"{cls.__name__} {n} {cls.calls()}"

    @classmethod
    @cache_aside(key="by-n:{n}")
    def keyed(cls, n: int) -> str:
        return f"{n} {Shop.calls()}"

    @cache_aside
    @staticmethod
    def static(n: int) -> str:
        return f"{n} {Shop.calls()}"

    @staticmethod
    @cache_aside
    def static_outer(n: int) -> str:
        return f"{n} {Shop.calls()}"

    @cache_aside(key="later:{self.region}")
    async def later(self) -> str:
        return f"{self.region} {self.calls()}"


class Branch(Shop): ...


def test_methods_know_their_object() -> None:
    north, south = Shop("north"), Shop("south")
    assert [north.top(3), south.top(3), north.top(3)] == ["north 3 1", "south 3 2", "north 3 1"]
    assert north.top.key(3) == "top:north:3"
    assert north.top.get(3) == "north 3 1"
    assert north.top.refresh(3) == "north 3 3"
    assert north.top.uncached(3) == "north 3 4"
    north.top.invalidate(3)
    assert north.top(3) == "north 3 5"
    assert south.top(3) == "south 3 2"
    assert Shop.top(north, 3) == "north 3 5"
    assert Shop.top.get(south, 3) == "south 3 2"
    assert north.top == north.top != south.top
    assert north.top.__name__ == "top"
    assert list(inspect.signature(north.top).parameters) == ["n"]
    assert pickle.loads(pickle.dumps(Shop.top)) is Shop.top


def test_two_objects_never_share_a_value_by_accident() -> None:
    with pytest.raises(UnstableArgument, match=r"'self' is a .*Shop.*cache_key"):
        Shop("north").everything()


class Stable(Shop):
    @property
    def cache_key(self) -> str:
        return self.region


def test_an_object_with_a_cache_key_is_part_of_the_key() -> None:
    assert [Stable("a").everything(), Stable("b").everything()] == ["a", "b"]
    assert Stable("a").everything() == "a"


def test_class_methods_know_their_class() -> None:
    assert Shop.inner() == "Shop 1 1"
    assert Branch.inner() == "Branch 1 2"
    assert Shop("x").inner(1) == Shop.inner() == "Shop 1 1"
    assert Shop.inner.get() == "Shop 1 1"
    Shop.inner.invalidate()
    assert Shop.inner() == "Shop 1 3"
    assert Branch.inner() == "Branch 1 2"
    assert pickle.loads(pickle.dumps(Branch.inner)) == Branch.inner


def test_a_key_that_is_a_function_is_refused() -> None:
    with pytest.raises(PolicyError, match="Give a template such as"):
        cache_aside(key=lambda n: str(n), ttl=5)


def test_classmethod_above_can_be_called() -> None:
    assert Shop.outer() == "Shop 1 1"
    assert Branch.outer() == "Branch 1 2"
    assert Shop("x").outer(1) == Shop.outer() == "Shop 1 1"


@pytest.mark.skipif(sys.version_info < (3, 13), reason="class methods chain up to 3.12")
@pytest.mark.parametrize("method", ["get", "refresh", "invalidate", "uncached", "key"])
def test_classmethod_above_says_what_it_cannot_do(method: str) -> None:
    with pytest.raises(TypeError, match="Write @cache_aside above @classmethod"):
        getattr(Shop.outer, method)(1)
    with pytest.raises(TypeError, match="Write @cache_aside above @classmethod"):
        getattr(Shop.outer, method)()


def test_classmethod_above_needs_no_class_for_a_key_without_it() -> None:
    assert Shop.keyed(1) == Shop.keyed.get(1) == "1 1"
    assert Shop.keyed.key(n=1) == "by-n:1"
    Shop.keyed.invalidate(1)
    assert Shop.keyed.get(1) is None
    assert Branch.keyed(1) == "1 2"


@pytest.mark.skipif(sys.version_info < (3, 13), reason="class methods chain up to 3.12")
@pytest.mark.parametrize("method", ["refresh", "uncached"])
def test_classmethod_above_cannot_be_called_without_its_class(method: str) -> None:
    with pytest.raises(TypeError, match="Write @cache_aside above @classmethod"):
        getattr(Shop.keyed, method)(1)


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="class methods chain up to 3.12")
def test_classmethod_above_can_do_everything() -> None:
    assert Shop.outer.refresh() == Shop.outer.get() == Shop.outer()
    Shop.outer.invalidate()
    assert Shop.outer.get() is None


@pytest.mark.parametrize("name", ["static", "static_outer"])
def test_static_methods_in_either_order(name: str) -> None:
    for function in (getattr(Shop, name), getattr(Shop("x"), name)):
        assert function(7) == "7 1"
        assert function.get(7) == "7 1"
    getattr(Shop, name).invalidate(7)
    assert getattr(Branch, name)(7) == "7 2"
    assert pickle.loads(pickle.dumps(getattr(Shop, name))) is getattr(Shop, name)


def test_methods_of_models_are_keyed_by_their_row() -> None:
    @cache_aside
    def price(self: Item) -> str:
        return self.name

    one, other = (Item.objects.create(name=name, slug=name) for name in ("a", "b"))
    assert [price(one), price(other), price(one)] == ["a", "b", "a"]
    with pytest.raises(UnstableArgument, match="not saved"):
        price(Item(name="c"))


# What is refused at decoration


def generator() -> Iterator[int]:
    yield 1


async def async_generator() -> Any:
    yield 1


def function_of_query(query: str) -> None: ...


async def coroutine_function() -> None: ...


@pytest.mark.parametrize(
    ("function", "arguments", "fault"),
    [
        (function_of_query, {"key": "s:{qeury}"}, r"\{qeury\} is no parameter.*'query'"),
        (function_of_query, {"tags": ["c:{category}"]}, r"the tag 'c:\{category\}'.*no parameter"),
        (function_of_query, {"key": "s:{query!r}"}, "format or a conversion"),
        (function_of_query, {"ttl": 0}, "ttl is 0"),
        (function_of_query, {"tttl": 5}, "unknown policy key 'tttl'.*Use one of: ttl, "),
        (function_of_query, {"lookups": ["a"]}, "lookups is for models"),
        (function_of_query, {"pattern": "write_through"}, "pattern is for models"),
        (function_of_query, {"stampede": "yes"}, "stampede is 'yes'"),
        (function_of_query, {"policy": 5}, "Give a CachePolicy"),
        (function_of_query, {"codec": "pickle"}, "codec is 'pickle'"),
        (function_of_query, {"depends_on": [5]}, "depends_on has 5"),
        (function_of_query, {"depends_on": "Item"}, "depends_on has 'Item'"),
        (function_of_query, {"key": 5}, "Give a template"),
        (generator, {}, "Return a list"),
        (async_generator, {}, "Return a list"),
        (len, {}, "no function"),
        (Counted, {}, "no function"),
        (property(function_of_query), {}, "Write @property above"),
        (search, {}, "cached already"),
        (
            coroutine_function,
            {"refresh": "inline", "stampede": "early_refresh"},
            "Use refresh='thread'",
        ),
    ],
)
def test_what_does_not_fit_is_refused_at_decoration(
    function: Any, arguments: Any, fault: str
) -> None:
    with pytest.raises(PolicyError, match=fault):
        cache_aside(**arguments)(function)


def test_options_are_laid_over_a_policy() -> None:
    made = cache_aside(policy=CachePolicy(ttl=5, codec="json"), ttl=7)(function_of_query)
    policy = made._family.policy
    assert (policy.ttl, policy.codec, policy.pattern) == (7, "json", "cache_aside")


# Herds


def test_a_herd_calls_once() -> None:
    calls = Counted()

    @cache_aside(key="herd")
    def slow() -> int:
        time.sleep(0.1)  # the work
        return calls()

    assert in_threads(20, slow) == [1] * 20
    assert calls.calls == 1


def test_an_invalidation_during_the_load_refuses_the_fill(elsewhere: Any) -> None:
    calls = Counted()

    @cache_aside(key="slow", tags="catalog", depends_on=Item)
    def slow() -> int:
        return calls()

    def write() -> None:
        Item.objects.create(name="x", slug=f"x{next(numbers)}")

    meanwhile = [slow.invalidate, lambda: invalidate("catalog"), write]
    for at, change in enumerate(meanwhile):
        refused = metrics.snapshot()["refused_fill"]
        done: list[bool] = []

        def once(details: Any, change: Any = change, done: list[bool] = done) -> None:
            if not done:
                done.append(True)
                elsewhere(change)

        slow.invalidate()
        with hooks.listening(before_fill=once):
            assert slow() == 2 * at + 1, "what was true when the call began"
        assert slow() == 2 * at + 2
        assert slow() == 2 * at + 2
        if at == 0:
            assert metrics.snapshot()["refused_fill"] == refused + 1


# Tags and tables


def test_an_invalidated_tag_makes_values_stale() -> None:
    calls = Counted()

    @cache_aside(key="tagged:{n}:{category}", tags=["catalog", "category:{category}"])
    def tagged(n: int, category: int) -> int:
        return calls()

    assert [tagged(1, 7), tagged(2, 7), tagged(1, 8), tagged(1, 7)] == [1, 2, 3, 1]
    invalidate("category:7")
    assert [tagged(1, 7), tagged(2, 7), tagged(1, 8)] == [4, 5, 3]
    invalidate("catalog")
    assert [tagged(1, 7), tagged(2, 7), tagged(1, 8)] == [6, 7, 8]
    invalidate("something else")
    assert [tagged(1, 7), tagged(2, 7), tagged(1, 8)] == [6, 7, 8]


def test_every_write_to_a_model_makes_what_depends_on_it_stale() -> None:
    @cache_aside(key="names", depends_on=[Item])
    def names() -> list[str]:
        return sorted(Item.objects.values_list("name", flat=True))

    assert names() == []
    item = Item.objects.create(name="a", slug="a")
    assert names() == ["a"]
    item.name = "b"
    item.save()
    assert names() == ["b"]
    Item.objects.filter(pk=item.pk).update(name="c")
    assert names() == ["c"]
    Item.objects.bulk_create([Item(name="d", slug="d")])
    assert names() == ["c", "d"]
    item.delete()
    assert names() == ["d"]
    Item.objects.all().delete()
    assert names() == []


def test_it_is_a_hit_as_long_as_nothing_was_written(django_assert_num_queries: Any) -> None:
    @cache_aside(key="count", depends_on="testapp.Item")
    def count() -> int:
        return Item.objects.count()

    Item.objects.create(name="a", slug="a")
    assert count() == 1
    Shelf.objects.create(name="of another model")
    with django_assert_num_queries(0):
        assert count() == 1


def test_a_proxy_and_a_parent_are_their_tables() -> None:
    @cache_aside(key="proxies", depends_on=ItemProxy)
    def proxies() -> int:
        return ItemProxy.objects.count()

    @cache_aside(key="cafes", depends_on=Cafe)
    def cafes() -> list[str]:
        return list(Cafe.objects.values_list("name", flat=True))

    assert (proxies(), cafes()) == (0, [])
    Item.objects.create(name="a", slug="a")
    cafe = Cafe.objects.create(name="old", seats=1)
    assert (proxies(), cafes()) == (1, ["old"])
    Place.objects.filter(pk=cafe.pk).update(name="new")
    assert (proxies(), cafes()) == (1, ["new"])


@pytest.mark.parametrize("model", [Basket, "testapp.Basket"])
def test_a_model_that_nobody_follows_is_refused(model: Any) -> None:
    @cache_aside(key="baskets", depends_on=model)
    def baskets() -> int:
        return Basket.objects.count()

    with pytest.raises(PolicyError, match=r"testapp\.Basket.*CachedModel.*POLICIES"):
        baskets()
    assert any("testapp.Basket" in problem for problem in dependency_problems())


def test_a_model_whose_writes_are_told_to_nobody_is_refused() -> None:
    @cache_aside(key="ttl only", depends_on=TtlOnly)
    def ttl_only() -> None: ...

    with pytest.raises(PolicyError, match=r"testapp\.TtlOnly, whose policy has invalidation='ttl'"):
        ttl_only()


def test_a_model_that_is_not_there_is_refused() -> None:
    @cache_aside(key="nowhere", depends_on="testapp.Nowhere")
    def nowhere() -> None: ...

    with pytest.raises(PolicyError, match=r"testapp\.Nowhere"):
        nowhere()


# Transactions


@cache_aside(key="stock", depends_on=[Item])
def stock() -> list[int]:
    return sorted(Item.objects.values_list("stock", flat=True))


def test_a_transaction_reads_what_it_wrote_and_publishes_nothing(elsewhere: Any) -> None:
    item = Item.objects.create(name="a", slug="a", stock=1)
    assert stock() == [1]
    with transaction.atomic():
        Item.objects.filter(pk=item.pk).update(stock=2)
        assert stock() == [2]
        assert elsewhere(stock) == [1]
        assert stock() == [2]
    assert stock() == elsewhere(stock) == [2]


def test_a_rollback_leaves_nothing_behind(elsewhere: Any) -> None:
    item = Item.objects.create(name="a", slug="a", stock=1)
    with transaction.atomic():
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            Item.objects.filter(pk=item.pk).update(stock=2)
            assert stock() == [2]
            raise ZeroDivisionError
        assert stock() == [1]
    assert stock() == elsewhere(stock) == [1]


def test_what_a_transaction_wrote_is_not_published_by_a_function_that_depends_on_nothing(
    elsewhere: Any,
) -> None:
    @cache_aside(key="free")
    def free() -> int:
        return Item.objects.count()

    with transaction.atomic():
        Item.objects.create(name="a", slug="a")
        assert free() == 1
        assert elsewhere(free.get) is None
        transaction.set_rollback(True)
    assert free() == 0


def test_a_reading_transaction_publishes(django_assert_num_queries: Any) -> None:
    with transaction.atomic():
        assert stock() == []
    with django_assert_num_queries(0):
        assert stock() == []


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_a_snapshot_is_never_published(level: str, elsewhere: Any) -> None:
    with transaction.atomic():
        with connections["default"].cursor() as cursor:
            cursor.execute(f"SET TRANSACTION ISOLATION LEVEL {level}")
            cursor.execute("SELECT 1")
        elsewhere(lambda: Item.objects.create(name="a", slug="a", stock=5))
        assert stock() == []
    assert stock() == [5]


def test_an_invalidation_in_a_transaction_waits_for_its_commit(elsewhere: Any) -> None:
    calls = Counted()

    @cache_aside(key="waits")
    def waits() -> int:
        return calls()

    assert waits() == 1
    with transaction.atomic():
        waits.invalidate()
        assert waits() == 2, "past the cache"
        assert elsewhere(waits) == 3, "past the cache, too"
        assert waits.get() is None
    assert waits() == 4
    assert waits() == elsewhere(waits) == 4


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_a_replica_is_never_filled_from(caplog: Any) -> None:
    def made(**options: Any) -> Any:
        @cache_aside(key="replica", **options)
        def replica() -> int:
            return Item.objects.using("other").count()

        return replica

    with caplog.at_level(logging.WARNING, "django_cachepatterns"):
        assert made()() == 0
        assert made()() == 0
    assert made().get() is None
    assert caplog.text.count("no model is written to") == 1
    assert made(databases=["other"])() == 0
    assert made(databases=["other"]).get() == 0


class TestInTestCase(TestCase):
    def test_it_is_cached_and_sees_writes(self) -> None:
        assert stock() == []
        with self.assertNumQueries(0):
            stock()
        Item.objects.create(name="a", slug="a", stock=3)
        assert stock() == [3]
        with self.assertNumQueries(0):
            assert stock() == [3]


# Without a cache


def test_with_the_cache_killed_the_function_is_called(own_valkey: Valkey) -> None:
    caches = {"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": own_valkey.url}}
    with override_settings(CACHES=caches, CACHEPATTERNS={"TIMEOUT": 0.1}):
        assert [search("shoe")["call"], search("shoe")["call"]] == [1, 1]
        own_valkey.kill()
        try:
            assert search("shoe")["call"] == 2
            assert search.get("shoe") is None
            assert search.refresh("shoe")["call"] == 3
            search.invalidate("shoe")
            assert asyncio.run(asynchronous(1)) == "1 1"
            with transaction.atomic():
                search.invalidate("shoe")
                assert search("shoe")["call"] == 4
        finally:
            own_valkey.start()
        assert [search("shoe")["call"], search("shoe")["call"]] == [5, 5]


# Stale values


def test_a_stale_value_is_refreshed_in_the_background() -> None:
    from django_cachepatterns.stampede.refresher import REFRESHER

    calls = Counted()

    @cache_aside(key="swr", ttl=60, soft_ttl=0.05, stampede="stale_while_revalidate")
    def swr() -> int:
        return calls()

    assert swr() == 1
    time.sleep(0.06)  # until it is stale
    assert swr() == 1
    assert REFRESHER.wait_until_idle(10)
    assert calls.calls == 2
    assert swr.get() == 2


def test_what_another_process_found_stale_can_be_refreshed() -> None:
    reader = stale._live.reader()
    assert reader is not None
    assert stale(1) == "1 1"
    recipe = reader.source.recipe(stale._asked((1,), {}))
    assert recipe == {
        "kind": "function",
        "function": f"{__name__}:stale",
        "args": [1],
        "kwargs": {},
    }
    time.sleep(0.06)  # until it is stale
    assert refresh_stale(recipe)
    assert stale.get(1) == "1 2"
    assert reader.source.recipe(stale._asked(((1,),), {})) is None, "JSON has no tuples"
    assert reader.source.recipe(stale._asked((Decimal(1),), {})) is None


stales = Counted()


@cache_aside(key="stale:{n}", ttl=60, soft_ttl=0.05, stampede="stale_while_revalidate")
def stale(n: Any) -> str:
    return f"{n} {stales()}"


# Coroutines


@cache_aside(key="async:{n}", depends_on=Item)
async def asynchronous(n: int) -> str:
    return f"{n} {coroutines()}"


@cache_aside(key="async:items", depends_on=Item)
async def items() -> list[str]:
    return [each async for each in Item.objects.order_by("name").values_list("name", flat=True)]


def test_a_coroutine_function_stays_one() -> None:
    assert inspect.iscoroutinefunction(asynchronous)
    assert inspect.iscoroutinefunction(Shop("x").later)
    assert inspect.iscoroutinefunction(Shop.later)
    assert pickle.loads(pickle.dumps(asynchronous)) is asynchronous


def test_coroutines_are_cached() -> None:
    async def scenario() -> None:
        assert await asynchronous.get(1, default="nothing") == "nothing"
        assert await asynchronous(1) == "1 1"
        assert await asynchronous(1) == "1 1"
        assert asynchronous.key(1) == "async:1"
        assert await asynchronous.get(1) == "1 1"
        assert await asynchronous.refresh(1) == "1 2"
        assert await asynchronous.uncached(1) == "1 3"
        assert await asynchronous(1) == "1 2"
        await asynchronous.ainvalidate(1)
        assert await asynchronous(1) == "1 4"
        asynchronous.invalidate(1)
        assert await asynchronous(1) == "1 5"
        assert await Shop("north").later() == "north 1"
        assert await Shop("north").later() == "north 1"
        await Shop("north").later.ainvalidate()
        assert await Shop("north").later() == "north 2"

    asyncio.run(scenario())


def test_a_herd_of_coroutines_calls_once() -> None:
    calls = Counted()

    @cache_aside(key="async herd")
    async def slow() -> int:
        await asyncio.sleep(0.1)
        return calls()

    async def scenario() -> list[int]:
        return await asyncio.gather(*(slow() for _ in range(10)))

    assert asyncio.run(scenario()) == [1] * 10


def test_coroutines_read_what_was_written() -> None:
    async def scenario() -> None:
        assert await items() == []
        await Item.objects.acreate(name="a", slug="a")
        assert await items() == ["a"]
        await Item.objects.all().aupdate(name="b")
        assert await items() == ["b"]
        with override_settings(CACHEPATTERNS={**config().raw, "ENABLED": False}):
            assert await items() == ["b"]
        await sync_to_async(connections.close_all)()

    asyncio.run(scenario())


def test_a_coroutine_that_fails_or_is_cancelled_holds_nobody_up() -> None:
    calls = Counted()

    @cache_aside(key="async fails", lease_ttl=0.3)
    async def fails() -> int:
        if calls() == 1:
            raise ZeroDivisionError
        if calls.calls == 2:
            await asyncio.sleep(60)
        return calls.calls

    async def scenario() -> None:
        with pytest.raises(ZeroDivisionError):
            await fails()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(fails(), 0.1)
        assert await asyncio.wait_for(fails(), 10) == 3
        assert await fails() in (3, 4)

    asyncio.run(scenario())


def test_dropping_an_entry_by_hand_is_safe() -> None:
    search("shoe")
    drop([f"{config().key_space().root}:fn:search:shoe:1".encode()])
    assert search("shoe")["call"] == 2
