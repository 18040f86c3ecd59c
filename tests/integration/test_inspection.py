"""What is said of keys, of how much there is, and of the server."""

from __future__ import annotations

import itertools
import json
import time
from typing import Any

import pytest
import redis
from django.contrib.sessions.backends import db as sessions_db
from django.core.cache import caches
from django.db import transaction
from django.test import override_settings

from django_cachepatterns import ReadThrough, WriteThrough, cache_aside, entry, inspection
from django_cachepatterns.conf import config
from django_cachepatterns.fragments import Fragment, fragment_policy
from django_cachepatterns.inspection import describe, sample, server
from django_cachepatterns.orm.rows import rows_of
from example_project.servers import Valkey
from tests.testapp.models import (
    Item,
    Page,
    Piece,
    Readable,
    TextRow,
    Versioned,
)

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

numbers = itertools.count(1)


@cache_aside(key="squared:{n}", ttl=100, jitter=0, tags=["catalog"], depends_on=[Item])
def squared(n: int) -> int:
    return n * n


@pytest.fixture
def item() -> Item:
    item = Item.objects.create(name="one", slug="one")
    Item.objects.get(pk=item.pk)
    return item


def key(suffix: str) -> str:
    return f"{config().key_space().root}:{suffix}"


def row_key(instance: Any) -> str:
    rows = rows_of(type(instance))
    assert rows is not None
    return rows.entry_key(instance.pk).decode()


# Entries


def test_a_row_is_told_by_its_columns(item: Item) -> None:
    said = describe(row_key(item))
    assert (said.family, said.kind, said.state) == ("testapp.item", "row", "value")
    assert said.payload == {
        "id": item.pk,
        "name": "one",
        "slug": "one",
        "shelf_id": None,
        "place": 0,
        "stock": 0,
    }
    assert (said.tenant, said.database, said.depends_on) == (None, "default", ())
    assert said.is_served is True
    assert said.problem is None
    assert said.ttl is not None
    assert 500 < said.ttl <= 600
    assert said.size is not None
    assert said.memory is not None
    assert 0 < said.size < said.memory
    assert said.cost is not None
    assert said.cost > 0


def test_an_age_that_jitter_hides_is_given_by_its_bounds(item: Item) -> None:
    said = describe(row_key(item))
    assert said.age is None
    assert said.age_between is not None
    low, high = said.age_between
    assert 0 <= low <= high <= 60


def test_an_age_is_exact_without_jitter() -> None:
    squared(3)
    said = describe(key("fn:squared:3"))
    assert said.age is not None
    assert 0 <= said.age < 5


def test_an_age_is_exact_with_a_soft_ttl(settings: Any, redis_client: redis.Redis) -> None:
    changes = {"soft_ttl": 60, "stampede": "stale_while_revalidate"}
    settings.CACHEPATTERNS = {**settings.CACHEPATTERNS, "POLICIES": {"testapp.item": changes}}
    item = Item.objects.create(name="one", slug="s")
    Item.objects.get(pk=item.pk)
    said = describe(row_key(item))
    assert said.age is not None
    assert 0 <= said.age < 5
    assert said.soft_ttl is not None
    assert 55 < said.soft_ttl <= 60


def test_what_is_past_its_soft_ttl_is_stale_and_served(
    settings: Any, redis_client: redis.Redis, item: Item
) -> None:
    changes = {"soft_ttl": 60, "stampede": "stale_while_revalidate"}
    settings.CACHEPATTERNS = {**settings.CACHEPATTERNS, "POLICIES": {"testapp.item": changes}}
    parts = entry.unpack(redis_client.get(row_key(item)) or b"")
    assert parts is not None
    old = parts[0]._replace(soft_expiry=int(time.time() * 1000) - 5000)
    data = entry.pack(old, parts[1])
    redis_client.set(row_key(item), data, px=60_000)
    said = describe(row_key(item))
    assert (said.state, said.is_served) == ("stale", True)
    assert said.soft_ttl is not None
    assert said.soft_ttl < -4

    refresh = entry.refresh_lease(entry.new_token(), int(time.time() * 1000) + 9000)
    redis_client.set(row_key(item), refresh + data, px=60_000)
    said = describe(row_key(item))
    assert (said.state, said.is_served) == ("refreshing", True)
    assert said.payload["name"] == "one"


def test_a_mark_names_its_writers_and_their_deadlines(item: Item) -> None:
    with transaction.atomic():
        Item.objects.filter(pk=item.pk).update(name="two")
        said = describe(row_key(item))
    assert (said.state, said.is_served) == ("mark", False)
    (writer,) = said.writers
    assert 50 < writer.lapses_in <= 60
    assert len(writer.id) == 32
    assert said.problem is not None
    assert describe(row_key(item)).state == "gone"


def test_a_lease_and_what_is_gone(item: Item, redis_client: redis.Redis) -> None:
    redis_client.set(row_key(item), entry.lease(entry.new_token()), px=9000)
    said = describe(row_key(item))
    assert (said.state, said.is_served) == ("lease", False)
    assert said.age is not None
    assert 0 <= said.age <= 2
    said = describe(key("testapp.item:123456"))
    assert (said.state, said.size, said.ttl) == ("gone", None, None)


def test_an_absence_depends_on_its_tag_until_that_changes(redis_client: redis.Redis) -> None:
    assert not Item.objects.filter(pk=999).exists() or True
    with pytest.raises(Item.DoesNotExist):
        Item.objects.get(pk=999)
    absent = key("testapp.item:999")
    said = describe(absent)
    assert (said.state, said.is_served) == ("negative", True)
    (tag,) = said.depends_on
    assert (tag.key, tag.holds) == (key("testapp.item:~absences"), True)
    assert said.age is not None
    Item.objects.create(name="x", slug="x")
    said = describe(absent)
    assert said.is_served is False
    assert said.depends_on[0].holds is False
    assert said.problem is not None


def test_a_lookup_says_where_it_leads(item: Item) -> None:
    Item.objects.get(slug="one")
    said = describe(key("testapp.item:slug=one"))
    assert (said.kind, said.state, said.payload) == ("lookup", "value", {"pk": item.pk})
    assert said.is_served is True


def test_the_result_of_a_query_names_the_tags_that_it_depends_on(
    redis_client: redis.Redis,
) -> None:
    Piece.objects.create(slug="a")
    assert Piece.objects.filter(rank=0).cache(ttl=60).count() == 1
    (found,) = redis_client.scan_iter(key("testapp.piece:~q:*"))
    said = describe(found)
    assert (said.family, said.kind, said.payload) == ("testapp.piece:list", "query", 1)
    assert [(each.key, each.holds) for each in said.depends_on] == [
        (key("testapp.piece:~rows"), True)
    ]
    Piece.objects.create(slug="b")
    (changed,) = describe(found).depends_on
    assert (changed.key, changed.holds) == (None, None)
    assert describe(found).is_served is None, "a tag that nobody can name may still have it"


def test_a_versioned_row_depends_on_its_table() -> None:
    row = Versioned.objects.create(n=1)
    Versioned.objects.get(pk=row.pk)
    said = describe(row_key(row))
    assert [(each.key, each.holds) for each in said.depends_on] == [
        (key("testapp.versioned:~rows"), True)
    ]
    with transaction.atomic():
        Versioned.objects.filter(pk=row.pk).update(n=2)
        said = describe(key("testapp.versioned:~rows"))
        assert (said.kind, said.state) == ("table", "mark")


def test_a_function_is_known_by_its_fingerprint() -> None:
    squared(4)
    said = describe(key("fn:squared:4"))
    assert said.family == f"{__name__}.squared"
    assert (said.kind, said.state, said.payload, said.is_served) == ("function", "value", 16, True)
    assert {each.key for each in said.depends_on} == {
        key("tag:catalog"),
        key("testapp.item:~rows"),
    }
    assert describe(key("tag:catalog")).state == "tag"


def test_a_value_says_its_name_and_its_tags() -> None:
    name = f"inspected {next(numbers)}"
    values = ReadThrough(name, load={"acme": {"n": 1}}.__getitem__, tags=["of {key}"], ttl=60)
    values.get("acme")
    values.get("nobody")
    part = inspection.name_of(values.asked("acme").key, config().values["KEY_PREFIX"]).label
    said = describe(values.asked("acme").key)
    assert (said.family, said.kind, said.payload) == (name, "value", {"n": 1})
    assert len(said.depends_on) == 1
    assert said.is_served is True
    said = describe(values.asked("nobody").key)
    assert (said.family, said.state, said.is_served) == (name, "negative", True)
    assert describe(key(f"value:{part}:~absences")).family == name


def test_written_through_values_and_text_that_json_wrote() -> None:
    kept: dict[str, Any] = {}
    name = f"written-{next(numbers)}"
    values = WriteThrough(name, load=kept.__getitem__, write=kept.__setitem__, codec="json")
    values.set("a", [1, 2])
    assert describe(key(f"value:{name}:a")).payload == [1, 2]
    readable = Readable.objects.create(n="1.50")
    Readable.objects.get(pk=readable.pk)
    assert str(describe(row_key(readable)).payload["n"]) == "1.50"


def test_values_of_a_name_that_is_not_known_here_are_decoded(redis_client: redis.Redis) -> None:
    name = f"forgotten-{next(numbers)}"
    values = ReadThrough("known-" + name, load=lambda key: f"value of {key}")
    values.get("a")
    redis_client.rename(key(f"value:known-{name}:a"), key(f"value:{name}:a"))
    said = describe(key(f"value:{name}:a"))
    assert (said.family, said.payload, said.is_served) == (name, "value of a", None)


def test_a_fragment_is_shown_as_its_text() -> None:
    fragment = Fragment("side", [7], "body")
    asked = fragment.asked(lambda: "<b>hello</b>")
    fragment.read(asked, fragment_policy("side", 60, {}))
    said = describe(asked.key)
    assert (said.family, said.kind, said.payload) == ("fragment side", "fragment", "<b>hello</b>")
    assert [each.holds for each in said.depends_on] == [True, True]
    assert describe(key("fragment:side~all")).state == "tag"


def test_a_session_shows_nothing_secret(settings: Any) -> None:
    settings.SESSION_ENGINE = "django_cachepatterns.contrib.sessions"
    from django_cachepatterns.contrib.sessions import SessionStore

    session = SessionStore()
    session["secret"] = "swordfish"
    session.save()
    SessionStore(session.session_key).load()
    model = sessions_db.SessionStore.get_model_class()
    said = describe(row_key(model(session_key=session.session_key)))
    assert said.state == "value"
    assert set(said.payload) == {"session_key", "session_data", "expire_date"}
    assert "swordfish" not in str(said)
    assert said.payload["session_data"] == "*" * 20


def test_a_row_of_a_hashed_key_and_one_of_another_database(item: Item) -> None:
    row = TextRow.objects.create(code="with spaces: and more", n=3)
    TextRow.objects.get(pk=row.pk)
    said = describe(row_key(row))
    assert "#" in said.key
    assert said.payload == {"code": "with spaces: and more", "n": 3}
    with override_settings(DATABASE_ROUTERS=[_ToOther()]):
        there = Item.objects.create(name="there", slug="there")
        Item.objects.get(pk=there.pk)
        name = row_key(there)
    said = describe(name)
    assert "@other:" in name
    assert (said.database, said.payload["name"]) == ("other", "there")


def test_a_tenants_entry_is_decoded_from_outside(settings: Any) -> None:
    settings.CACHEPATTERNS = {**settings.CACHEPATTERNS, "TENANT": f"{__name__}.acme"}
    row = Versioned.objects.create(n=1)
    Versioned.objects.get(pk=row.pk)
    name = row_key(row)
    settings.CACHEPATTERNS = {**settings.CACHEPATTERNS, "TENANT": f"{__name__}.nobody"}
    said = describe(name)
    assert (said.tenant, said.family, said.payload["n"]) == ("acme", "testapp.versioned", 1)
    (tag,) = said.depends_on
    assert tag.key is not None
    assert tag.key.startswith("tenant:acme:")
    assert tag.holds is True


def test_another_schema_and_another_run_of_the_server_are_told(
    item: Item, redis_client: redis.Redis
) -> None:
    parts = entry.unpack(redis_client.get(row_key(item)) or b"")
    assert parts is not None
    header, payload = parts
    for change, told in (
        ({"fingerprint": b"fingerpr"}, "another schema"),
        ({"epoch": b"anepoch!"}, "another run"),
    ):
        redis_client.set(row_key(item), entry.pack(header._replace(**change), payload))
        said = describe(row_key(item))
        assert said.is_served is False
        assert told in (said.problem or "")
    redis_client.set(row_key(item), entry.pack(header, b"\xff\xff"))
    said = describe(row_key(item))
    assert said.is_served is False
    assert "cannot be decoded" in (said.problem or "")


@pytest.mark.parametrize("data", [b"", b"garbage", b"V", b"L", b"W", b"R", b"T", b"\xff" * 60])
def test_what_is_no_entry_is_told_as_such(
    data: bytes, item: Item, redis_client: redis.Redis
) -> None:
    redis_client.set(row_key(item), data)
    said = describe(row_key(item))
    assert (said.state, said.is_served) == ("other", False)
    redis_client.delete(row_key(item))
    redis_client.rpush(row_key(item), "somebody's list")
    said = describe(row_key(item))
    assert (said.state, said.payload, said.size) == ("other", ["somebody's list"], 1)


def test_a_buffer_shows_what_waits() -> None:
    page = Page.objects.create()
    Page.view_counter.increment(page.pk, 5)
    said = describe(key("buffer:{testapp.page.views}:active"))
    assert (said.family, said.kind, said.state) == ("testapp.Page.views", "buffer", "data")
    assert said.payload == {str(page.pk): "5"}
    assert said.size == 1
    assert describe(key("buffer:{testapp.page.views}:active~meta")).payload["sum"] == "5"


@pytest.mark.parametrize("name", ["", "foreign", "foreign:testapp.item:1", "tenant:x:y:z"])
def test_a_foreign_key_is_refused_with_the_prefix_that_is_ours(name: str) -> None:
    with pytest.raises(inspection.UnknownKey, match=config().values["KEY_PREFIX"]):
        describe(name)


def test_describing_takes_two_round_trips_and_changes_nothing(
    item: Item, redis_client: redis.Redis
) -> None:
    Versioned.objects.get(pk=Versioned.objects.create(n=1).pk)
    before = {name: redis_client.dump(name) for name in redis_client.scan_iter(key("*"))}
    for name in before:
        describe(name)
    assert {name: redis_client.dump(name) for name in redis_client.scan_iter(key("*"))} == before


# How much there is


def test_a_small_server_is_counted_whole() -> None:
    Item.objects.bulk_create(Item(name="x", slug=str(n)) for n in range(30))
    list(Item.objects.filter(pk__in=list(Item.objects.values_list("pk", flat=True))))
    squared(5)
    found = sample()
    by_family = {each.family: each for each in found}
    # Other tests of this run may have keys there.
    assert found.is_complete
    rows = by_family["testapp.item"]
    assert rows.entries >= 30
    assert rows.bytes is not None
    assert rows.bytes > 30 * 60
    assert by_family[f"{__name__}.squared"].entries == 1
    assert by_family["tags"].entries >= 1
    assert "keys" in str(found)


def test_a_large_server_is_estimated_from_a_sample(redis_client: redis.Redis, item: Item) -> None:
    data = redis_client.get(row_key(item))
    with redis_client.pipeline() as pipeline:
        for number in range(20_000):
            pipeline.set(key(f"testapp.item:{10**6 + number}"), data or b"", px=60_000)
        for number in range(4000):
            pipeline.set(key(f"testapp.piece:{10**6 + number}"), data or b"", px=60_000)
        pipeline.execute()
    found = sample(limit=4000)
    by_family = {each.family: each for each in found}
    assert not found.is_complete
    assert 4000 <= found.looked_at < 6000
    assert str(found).startswith("sampled ")
    assert found.keys >= 24_000
    assert 0.85 * 20_000 < by_family["testapp.item"].entries < 1.15 * 20_000
    assert 0.6 * 4000 < by_family["testapp.piece"].entries < 1.4 * 4000
    size = redis_client.memory_usage(key("testapp.item:1000001")) or 0
    assert by_family["testapp.item"].bytes == pytest.approx(size * 20_000, rel=0.2)


def test_a_sample_never_lists_all_keys_at_once(item: Item, redis_client: redis.Redis) -> None:
    before = redis_client.info("commandstats")
    sample()
    after = redis_client.info("commandstats")
    assert after["cmdstat_scan"]["calls"] > before.get("cmdstat_scan", {"calls": 0})["calls"]
    assert after.get("cmdstat_keys") == before.get("cmdstat_keys")


# The server


def test_the_server_says_how_it_is() -> None:
    health = server()
    assert health.is_up
    assert health.reason is None
    assert health.software in ("Valkey", "Redis")
    assert health.version is not None
    assert health.uptime is not None
    assert health.used_memory is not None
    assert health.used_memory > 100_000
    assert health.policy is not None
    assert health.role == "master"
    assert health.clients is not None
    assert health.clients >= 1
    assert health.persistence in ("none", "rdb", "aof", "aof+rdb")
    assert health.latency is not None
    assert 0 < health.latency < 1
    assert server("BUFFER_CACHE").is_up


def test_a_dead_server_is_not_up_and_says_why(own_valkey: Valkey, settings: Any) -> None:
    settings.CACHES = {**settings.CACHES, "own": _cache(own_valkey.url)}
    settings.CACHEPATTERNS = {**settings.CACHEPATTERNS, "CACHE": "own"}
    assert server().is_up
    own_valkey.kill()
    health = server()
    assert not health.is_up
    assert "ConnectionError" in (health.reason or "")
    assert (health.version, health.hit_ratio, health.memory_share) == (None, None, None)


def test_a_user_who_may_not_ask_is_told_what_is_known(own_valkey: Valkey, settings: Any) -> None:
    with redis.Redis.from_url(own_valkey.url) as client:
        client.execute_command("ACL SETUSER", "some", "on", ">pw", "~*", "+@all", "-info")
    address = own_valkey.url.replace("redis://", "redis://some:pw@")
    settings.CACHES = {**settings.CACHES, "own": _cache(address)}
    settings.CACHEPATTERNS = {**settings.CACHEPATTERNS, "CACHE": "own"}
    health = server()
    assert health.is_up
    assert "INFO" in (health.reason or "")
    assert health.latency is not None
    assert health.version is None


def test_shares_and_ratios() -> None:
    health = inspection.ServerHealth(True, hits=3, misses=1, used_memory=5, max_memory=10)
    assert (health.hit_ratio, health.memory_share) == (0.75, 0.5)


def test_a_setting_that_names_no_server_is_said(settings: Any) -> None:
    settings.CACHES = {
        **settings.CACHES,
        "local": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    }
    settings.CACHEPATTERNS = {**settings.CACHEPATTERNS, "CACHE": "local"}
    assert caches["local"] is not None
    health = server()
    assert not health.is_up
    assert "LocMemCache" in (health.reason or "")


class _ToOther:
    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "other"

    db_for_write = db_for_read


def acme() -> str:
    return "acme"


def nobody() -> None:
    return None


def _cache(url: str) -> dict[str, Any]:
    return {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": url}


def test_what_is_shown_is_plain_data(item: Item) -> None:
    assert json.dumps(describe(row_key(item)).payload)
