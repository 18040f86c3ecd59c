"""Dropping entries, and `manage.py flush_cache`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
import redis
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from django_cachepatterns import ReadThrough, cache_aside, dropping, hooks, invalidate, metrics
from django_cachepatterns.conf import as_tenant, config
from django_cachepatterns.exceptions import PolicyError, StoreUnavailable
from django_cachepatterns.fragments import Fragment, fragment_policy
from django_cachepatterns.testing import outage
from tests.processes import run
from tests.testapp.models import Category, Item, Page, Piece, Shelf, WrittenPiece

pytestmark = pytest.mark.django_db(transaction=True)


@cache_aside(key="flushed:{number}:of", tags=["flushed"])
def double(number: int) -> int:
    return 2 * number


@pytest.fixture
def values() -> ReadThrough:
    return ReadThrough("flushed-values", load=lambda key: key.upper())


@pytest.fixture
def item() -> Item:
    return Item.objects.create(name="a", slug="a")


def there(client: redis.Redis, ends: str) -> bool:
    return client.exists(f"{config().key_space().root}:{ends}") == 1


def every_key(client: redis.Redis) -> set[str]:
    prefix = config().values["KEY_PREFIX"]
    return {key.decode() for key in client.scan_iter(f"*{prefix}:*", count=1000)}


def test_all_of_a_model_goes_and_nothing_else(item: Item, redis_client: redis.Redis) -> None:
    shelf = Shelf.objects.create(name="s")
    Shelf.objects.get(pk=shelf.pk)
    Item.objects.get(slug="a")
    assert Item.objects.filter(pk=item.pk + 1).first() is None
    assert Item.objects.filter(place=0).cache().count() == 1
    dropped = dropping.drop_entries(Item)
    assert set(dropped.by_family) == {"testapp.item"}
    assert dropped.entries >= 4
    assert {key for key in every_key(redis_client) if ":testapp.item" in key} == set()
    assert there(redis_client, f"testapp.shelf:{shelf.pk}")
    assert Item.objects.get(slug="a") == item


def test_a_model_whose_name_begins_alike_stays(redis_client: redis.Redis) -> None:
    """`piece` and `piecework` would be alike to a careless pattern; so are `x.item`, `ax.item`."""
    keys = [
        f"{config().key_space().root}:{label}:1" for label in ("testapp.items", "atestapp.item")
    ]
    for key in keys:
        redis_client.set(key, b"theirs")
    dropping.drop_entries(Item)
    assert redis_client.exists(*keys) == 2


def test_lists_alone(redis_client: redis.Redis) -> None:
    piece = Piece.objects.create(slug="a", category=Category.objects.create())
    Piece.objects.get(pk=piece.pk)
    assert Piece.objects.filter(rank=0).cache().count() == 1
    assert dropping.drop_entries("testapp.Piece:list").by_family == {"testapp.piece:list": 1}
    assert there(redis_client, f"testapp.piece:{piece.pk}")


def test_a_function_a_name_and_a_fragment(values: ReadThrough, redis_client: redis.Redis) -> None:
    fragment = Fragment("flushed", [1])
    for number in range(3):
        double(number)
        values.get(str(number))
    fragment.read(fragment.asked(lambda: "text"), fragment_policy("flushed", 60, {}))
    assert dropping.drop_entries(double.name).by_family == {double.name: 3}
    assert dropping.drop_entries("flushed-values").by_family == {"flushed-values": 4}
    assert dropping.drop_entries("fragment flushed").by_family == {"fragment flushed": 3}
    assert {key.split(":", 1)[1] for key in every_key(redis_client)} == {"tag:flushed"}


def test_an_unknown_name_is_an_error_that_names_the_known_ones(values: ReadThrough) -> None:
    with pytest.raises(PolicyError, match=r"'nothing'.*testapp\.Item.*flushed-values"):
        dropping.drop_entries("nothing")
    with pytest.raises(PolicyError, match=r"auth\.Group.*CachedModel"):
        dropping.drop_entries("auth.Group")


def test_a_tag(redis_client: redis.Redis) -> None:
    calls = []

    @cache_aside(key="tagged:{number}", tags=["one:{number}", "each"])
    def tagged(number: int) -> int:
        calls.append(number)
        return number

    for number in (1, 2):
        tagged(number)
    assert dropping.drop_tags("one:1").entries == 1
    for number in (1, 2):
        tagged(number)
    assert calls == [1, 2, 1]
    assert dropping.drop_tags("each", "never-used").by_family == {"tag each": 1}
    tagged(2)
    assert calls == [1, 2, 1, 2]


def test_everything_but_what_is_no_entry(
    item: Item, values: ReadThrough, redis_client: redis.Redis
) -> None:
    page = Page.objects.create(title="a")
    Page.view_counter.increment(page.pk, 3)
    before = every_key(redis_client)
    Item.objects.get(slug="a")
    Item.objects.filter(place=0).cache().count()
    double(1)
    values.get("a")
    metrics = f"{config().values['KEY_PREFIX']}:metrics:anything"
    redis_client.set(metrics, b"kept")
    dropped = dropping.drop_all()
    assert {"testapp.item", "functions", "tags", "value:flushed-values"} <= set(dropped.by_family)
    buffers = {key for key in before if ":buffer:" in key}
    assert every_key(redis_client) == buffers | {metrics}
    assert buffers
    assert Page.view_counter.pending() == 3


def test_a_mark_stays_and_a_stale_row_does_not_come_in(
    item: Item, elsewhere: Any, redis_client: redis.Redis
) -> None:
    Item.objects.get(pk=item.pk)
    with transaction.atomic():
        item.stock = 5
        item.save()
        dropping.drop_entries(Item)
        dropping.drop_all()
        seen = elsewhere(lambda: Item.objects.get(pk=item.pk).stock)
        assert seen == 0
        key = f"{config().key_space().root}:testapp.item:{item.pk}"
        assert (redis_client.get(key) or b"")[:1] == b"W"
    assert Item.objects.get(pk=item.pk).stock == 5


def test_a_load_under_way_is_not_stored(item: Item, redis_client: redis.Redis) -> None:
    def behind_its_back(_: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE testapp_item SET stock = 7 WHERE id = %s", [item.pk])
        dropping.drop_entries(Item)

    with hooks.listening(before_fill=behind_its_back):
        assert Item.objects.get(pk=item.pk).stock == 0
    assert Item.objects.get(pk=item.pk).stock == 7


@pytest.mark.parametrize("drop", [lambda row: dropping.drop_entries(WrittenPiece), invalidate])
def test_a_row_that_was_read_again_before_is_not_installed(drop: Any, elsewhere: Any) -> None:
    """A writer has read its row again to install it; then the row is changed by other means."""
    row = WrittenPiece.objects.create(slug="a")
    steps: list[str] = []

    def behind_its_back() -> None:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE testapp_writtenpiece SET stock = 7 WHERE id = %s", [row.pk])
        drop(row)

    def then(execute: Any, sql: str, *arguments: Any) -> Any:
        found = execute(sql, *arguments)
        if "written" in steps and "read again" not in steps and sql.startswith("SELECT"):
            steps.append("read again")
            elsewhere(behind_its_back)
        return found

    row.rank = 1
    with (
        hooks.listening(before_end_write=lambda _: steps.append("written")),
        connection.execute_wrapper(then),
    ):
        row.save()
    assert "read again" in steps
    assert WrittenPiece.objects.get(pk=row.pk).stock == 7


@pytest.fixture
def tenants(settings: Any) -> Iterator[None]:
    settings.CACHEPATTERNS = {**settings.CACHEPATTERNS, "TENANT": lambda: "acme"}
    return


@pytest.mark.usefixtures("tenants")
def test_each_tenants_entries_are_its_own(item: Item) -> None:
    for tenant in ("acme", "a:long name"):
        with as_tenant(tenant):
            Item.objects.get(pk=item.pk)
            double(1)
    with as_tenant(None):
        Item.objects.get(pk=item.pk)

    def cached(tenant: str | None) -> bool:
        with as_tenant(tenant):
            return double.get(1) is not None

    assert dropping.drop_all(tenant="a:long name").by_family["functions"] == 1
    assert (cached("acme"), cached("a:long name")) == (True, False)
    assert dropping.drop_entries(Item, tenant=None).entries >= 1
    assert dropping.drop_entries(Item).entries >= 1
    assert dropping.drop_entries(Item).entries == 0
    assert dropping.drop_tags("flushed", tenant="acme").entries == 1
    assert not cached("acme")


def test_more_than_one_batch_goes_and_progress_is_told(redis_client: redis.Redis) -> None:
    Item.objects.bulk_create([Item(name="a", slug=f"s{n}", place=n) for n in range(2500)])
    pks = list(Item.objects.values_list("pk", flat=True))
    list(Item.objects.filter(pk__in=pks))
    told: list[int] = []
    dropped = dropping.drop_entries(Item, on_progress=told.append)
    assert dropped.entries >= 2500
    assert told == sorted(told)
    assert told[-1] == dropped.entries
    assert not redis_client.exists(f"{config().key_space().root}:testapp.item:{pks[-1]}")


def test_a_moment_without_the_server_is_waited_for(
    item: Item, monkeypatch: pytest.MonkeyPatch
) -> None:
    Item.objects.get(pk=item.pk)
    away = outage()
    away.__enter__()
    monkeypatch.setattr(dropping, "sleep", lambda _: away.__exit__(None, None, None))
    assert dropping.drop_entries(Item).by_family.keys() == {"testapp.item"}


def test_without_the_server_it_raises() -> None:
    with outage(), pytest.raises(StoreUnavailable):
        dropping.drop_entries(Item)


# The command


def flushed(*arguments: str) -> str:
    out = StringIO()
    call_command("flush_cache", *arguments, stdout=out, skip_checks=True)
    return out.getvalue()


def refused(*arguments: str, code: int) -> str:
    """What the command says on its way out."""
    out = StringIO()
    with pytest.raises(CommandError) as failed:
        call_command("flush_cache", *arguments, stdout=out, stderr=StringIO(), skip_checks=True)
    assert failed.value.returncode == code
    if "--json" in arguments:
        assert json.loads(out.getvalue())["error"] == str(failed.value)
    return str(failed.value)


def test_the_command_says_what_it_dropped(item: Item) -> None:
    Item.objects.get(pk=item.pk)
    said = flushed("testapp.Item").splitlines()
    assert said[0].startswith("testapp.item: ")
    assert said[-1].startswith("Dropped ")
    assert flushed("testapp.item") == "There was nothing to drop.\n"


def test_an_app_is_all_its_cached_models(item: Item) -> None:
    shelf = Shelf.objects.create(name="s")
    Item.objects.get(pk=item.pk)
    Shelf.objects.get(pk=shelf.pk)
    report = json.loads(flushed("testapp", "--json"))
    assert {"testapp.item", "testapp.shelf"} <= set(report["families"])
    assert report["dropped"] == sum(report["families"].values())
    assert report["tenant"] == "*"


def test_tags_and_functions_by_the_command() -> None:
    double(1)
    report = json.loads(flushed("tests.integration.test_flush_cache.double", "--json"))
    assert report["families"] == {double.name: 1}
    double(1)
    assert json.loads(flushed("--tag=flushed", "--tag=none", "--json"))["dropped"] == 1
    assert double.get(1) is None


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_what_makes_no_sense_is_refused_with_2(flags: list[str]) -> None:
    assert "Say what to drop" in refused(*flags, code=2)
    assert "--all is every entry" in refused("--all", "testapp.Item", *flags, code=2)
    assert "names no tag" in refused("--tag", "", *flags, code=2)
    assert "'testapp.Nothing'" in refused("testapp.Nothing", *flags, code=2)
    assert "no module named" not in refused("no.such.function", *flags, code=2)
    assert "'messages'" in refused("messages", *flags, code=2)
    assert "TENANT" in refused("--all", "--tenant=acme", *flags, code=2)


def test_without_the_server_the_command_fails_with_1() -> None:
    with outage():
        assert "CACHES['default']" in refused("testapp.Item", "--json", code=1)


@pytest.mark.usefixtures("tenants")
def test_the_command_drops_a_tenants_own(item: Item) -> None:
    for tenant in ("acme", "other"):
        with as_tenant(tenant):
            double(1)
    assert "of tenant 'acme'" in flushed("--all", "--tenant=acme", "--yes")
    with as_tenant("other"):
        assert double.get(1) == 2
    assert "of every tenant" in flushed("--all", "--no-input")
    assert json.loads(flushed("--all", "--tenant=", "--json", "--yes"))["tenant"] is None


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("answer", "left"), [("yes\n", None), ("\n", 2), ("n\n", 2)])
def test_all_is_asked_for_on_a_terminal(
    answer: str, left: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    double(1)
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    if left is None:
        flushed("--all")
    else:
        assert refused("--all", "--json", code=1) == "Nothing was dropped."
    assert double.get(1) == left


def test_as_a_program_it_exits_with_its_code(item: Item, redis_client: redis.Redis) -> None:
    Item.objects.get(pk=item.pk)
    command = ("-m", "django", "flush_cache", "--skip-checks")
    ended = run(*command, "--all", "--json")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert json.loads(ended.stdout)["families"]["testapp.item"] >= 1
    assert run(*command).returncode == 2


def test_what_is_dropped_is_counted_and_told(item: Item) -> None:
    Item.objects.get(pk=item.pk)
    double(1)
    before = metrics.by_family()
    told: list[hooks.Invalidated] = []
    with hooks.listening(after_invalidation=told.append):
        dropping.drop_entries(Item)
        dropping.drop_entries(double.name)
    names = [name for each in told for name in each.names]
    assert key_of(f"testapp.item:{item.pk}") in names
    assert key_of("fn:flushed:1:of") in names
    assert {each.reason for each in told} == {"invalidate"}
    after = metrics.by_family()
    for family in ("testapp.item", double.name):
        counted = before.get(family, {}).get("invalidation", 0)
        assert after[family]["invalidation"] > counted


def key_of(end: str) -> bytes:
    return f"{config().key_space().root}:{end}".encode()
