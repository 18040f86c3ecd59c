"""Invalidating what is large: at once where a version ends it, else in parts that say how far."""

from __future__ import annotations

import logging
import re
from urllib.parse import parse_qs, urlsplit

import pytest
import redis
from django.conf import settings
from django.db import connection
from django.db.models import Model
from django.test import Client, override_settings
from django.urls import reverse

from django_cachepatterns import ReadThrough, cache_aside, dropping, metrics
from django_cachepatterns.dashboard.actions import invalidate
from django_cachepatterns.fragments import Fragment, fragment_policy
from django_cachepatterns.metrics.families import OTHER
from django_cachepatterns.stores.inspector import RedisInspector
from django_cachepatterns.testing import assert_cache_hits
from tests.testapp.models import Cafe, Category, Item, Piece

from .dashboard import POLICY, act, asked, forget_figures, root, said, sent, text

pytestmark = pytest.mark.django_db(transaction=True)

MANY = 12 * dropping.SCANNED


@cache_aside(key="in-parts:{n}", ttl=60, tags=["in-parts"])
def in_parts(n: int) -> int:
    return n


@pytest.fixture
def client() -> Client:
    return root()


@pytest.fixture
def _no_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*given: object) -> None:
        raise AssertionError("the keys of the server were looked through")

    monkeypatch.setattr(RedisInspector, "scan_for", refuse)


@pytest.fixture
def values(redis_client: redis.Redis) -> ReadThrough:
    """Values by key, and so many other keys that a SCAN takes many steps."""
    pipe = redis_client.pipeline(transaction=False)
    for at in range(MANY):
        pipe.set(f"{settings.KEY_PREFIX}:value:in-parts:{at}", b"x", ex=60)
    pipe.execute()
    return ReadThrough("in-parts", load=lambda key: key, ttl=60)


def delete_unseen(model: type[Model]) -> None:
    """Delete all rows around Django."""
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {model._meta.db_table}")


def left(client: redis.Redis) -> int:
    return sum(1 for _ in client.scan_iter(f"{settings.KEY_PREFIX}:value:in-parts:*", count=5000))


@pytest.mark.usefixtures("_no_scan")
def test_lists_end_at_once(client: Client) -> None:
    shelf = Category.objects.create()
    piece = Piece.objects.create(slug="a", category=shelf)
    Piece.objects.get(pk=piece.pk)
    lists = (Piece.objects.filter(rank=0), Piece.objects.filter(category=shelf))
    for each in lists:
        assert each.cache().count() == 1
    delete_unseen(Piece)
    for each in lists:
        assert each.cache().count() == 1
    (done,) = said(act(client, "invalidate", what="policy", name="testapp.piece:list"))
    assert done.startswith("Invalidated testapp.piece:list: no reader is served")
    for each in lists:
        assert each.cache().count() == 0
    with assert_cache_hits(1):
        Piece.objects.get(pk=piece.pk)


def test_lists_that_only_a_parent_s_writes_end_are_looked_for(client: Client) -> None:
    policies = {"testapp.Cafe": {"invalidation": "ttl"}}
    with override_settings(CACHEPATTERNS={**settings.CACHEPATTERNS, "POLICIES": policies}):
        Cafe.objects.create(name="a", seats=7)
        tables = Cafe.objects.filter(seats=7)
        assert tables.cache().count() == 1
        delete_unseen(Cafe)
        assert tables.cache().count() == 1
        (done,) = said(act(client, "invalidate", what="policy", name="testapp.cafe:list"))
        assert done == "Invalidated testapp.cafe:list: 1 entry dropped."
        assert tables.cache().count() == 0


@pytest.mark.usefixtures("_no_scan")
def test_rows_with_versions_end_at_once(client: Client) -> None:
    policies = {"testapp.Item": {"invalidation": "version"}}
    with override_settings(CACHEPATTERNS={**settings.CACHEPATTERNS, "POLICIES": policies}):
        item = Item.objects.create(name="a", slug="a")
        Item.objects.get(pk=item.pk)
        Item.objects.get(slug="a")
        delete_unseen(Item)
        assert Item.objects.get(pk=item.pk) == item
        act(client, "invalidate", what="policy", name="testapp.item")
        for asked_for in ({"pk": item.pk}, {"slug": "a"}):
            with pytest.raises(Item.DoesNotExist):
                Item.objects.get(**asked_for)


@pytest.mark.usefixtures("_no_scan")
def test_fragments_and_tags_end_at_once(client: Client) -> None:
    texts = iter(("old", "new", "newest"))
    policy = fragment_policy("at-once", 60, {})

    def read() -> str:
        fragment = Fragment("at-once", [1])
        return fragment.read(fragment.asked(lambda: next(texts), tags=["at-once"]), policy)

    assert (read(), read()) == ("old", "old")
    act(client, "invalidate", what="policy", name="fragment at-once")
    assert (read(), read()) == ("new", "new")
    assert said(act(client, "invalidate", what="tag", name="at-once")) == [
        "Invalidated the tag at-once."
    ]
    assert read() == "newest"


def test_what_takes_too_long_is_done_in_parts(
    client: Client,
    values: ReadThrough,
    redis_client: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(invalidate, "SECONDS", 0.0)  # One step is always taken.
    given, entries, parts = {"what": "policy", "name": "in-parts"}, 0, 0
    with caplog.at_level(logging.INFO, "django_cachepatterns"):
        while True:
            response = act(client, "invalidate", **given)
            (done,) = said(response)
            parts += 1
            found = re.search(r"([0-9,]+) (?:more )?entr(?:y|ies) dropped", done)
            assert found is not None
            entries += int(found[1].replace(",", ""))
            if done.startswith("Invalidated in-parts: "):
                break
            assert done.startswith("Invalidated a part of in-parts: in 0 seconds about ")
            assert "manage.py flush_cache in-parts" in done
            assert "The rest is still served" in done
            assert left(redis_client) == MANY - entries
            assert caplog.messages[-1].endswith("It is not finished.")
            address = urlsplit(response.headers["Location"])
            given = {name: each for name, (each,) in parse_qs(address.query).items()}
            assert "Go on where it has stopped" in text(client.get(str(address.geturl())).content)
    assert parts > 2
    assert entries == MANY
    assert left(redis_client) == 0
    assert not caplog.messages[-1].endswith("It is not finished.")


def test_every_tenant_s_tag_is_looked_for(client: Client, redis_client: redis.Redis) -> None:
    keys = [f"tenant:{name}:{settings.KEY_PREFIX}:tag:catalog" for name in ("acme", "zen")]
    for key in keys:
        redis_client.set(key, b"Tx", ex=60)
    changed = {**settings.CACHEPATTERNS, "TENANT": f"{__name__}.nobody"}
    with override_settings(CACHEPATTERNS=changed):
        done = said(act(client, "invalidate", what="tag", name="catalog"))
    assert done == ["Invalidated the tag catalog."]
    assert redis_client.exists(*keys) == 0


def nobody() -> None:
    """There are tenants, and this request is of none."""


@pytest.mark.parametrize("at", ["-1", "x", "1" * 21])
def test_what_is_no_place_to_go_on_at_is_refused(client: Client, at: str) -> None:
    response = asked(client, "invalidate", what="policy", name="testapp.item", at=at)
    assert "This cannot be done as it is asked for" in text(response.content)


def test_the_share_that_was_looked_through_grows() -> None:
    """Cursors of a table with eight buckets, in the order of a SCAN: from the highest bit on."""
    shares = [dropping._share(cursor) for cursor in (4, 2, 6, 1, 5, 3, 7)]
    assert shares == [at / 8 for at in range(1, 8)]


def test_what_is_counted_as_one_is_no_policy_to_be_invalidated(client: Client) -> None:
    forget_figures()
    metrics.count(OTHER, "hit")
    sent()
    page = text(client.get(reverse(POLICY), {"name": OTHER}).content)
    assert "(other) All others, counted as one" in page
    assert "Invalidate" not in page
