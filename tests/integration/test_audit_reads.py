"""Lists, counts and aggregates are audited as they are read."""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable
from typing import Any

import pytest
import redis
from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.models import Avg, Count, Sum

from django_cachepatterns import audit, entry, metrics
from django_cachepatterns.exceptions import PolicyError
from django_cachepatterns.orm.results import Result
from tests.integration.test_audit import behind_its_back
from tests.testapp.models import Everything, Item, Piece

pytestmark = pytest.mark.django_db(transaction=True)

READS: dict[str, Callable[[], Any]] = {
    "list": lambda: list(Item.objects.filter(place=0).cache(ttl=60)),
    "ordered": lambda: list(Item.objects.order_by("-stock").cache(ttl=60)),
    "slice": lambda: list(Item.objects.order_by("name", "pk").cache(ttl=60)[:2]),
    "values": lambda: list(Item.objects.values("name", "stock").cache(ttl=60)),
    "annotated": lambda: list(Item.objects.annotate(n=Count("labels")).cache(ttl=60)),
    "joined": lambda: list(Item.objects.select_related("shelf").cache(ttl=60)),
    "count": lambda: Item.objects.filter(stock=0).cache(ttl=60).count(),
    "exists": lambda: Item.objects.filter(stock=0).cache(ttl=60).exists(),
    "aggregate": lambda: Item.objects.cache(ttl=60).aggregate(Sum("stock"), Avg("place")),
}


@pytest.fixture
def items() -> list[Item]:
    return [Item.objects.create(name=f"n{n}", slug=f"s{n}") for n in range(3)]


def entry_of(client: redis.Redis) -> bytes:
    (found,) = client.scan_iter(f"{settings.KEY_PREFIX}:*:~q:*")
    return bytes(found)


@pytest.mark.parametrize("name", READS)
def test_what_is_right_is_not_accused(name: str, items: list[Item]) -> None:
    first = READS[name]()
    with audit.watching() as watch:
        assert READS[name]() == first
    assert (watch.checked, watch.findings) == (1, ())


@pytest.mark.parametrize("name", READS)
def test_what_is_wrong_is_found_and_healed(
    name: str, items: list[Item], redis_client: redis.Redis
) -> None:
    first = READS[name]()
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM testapp_item WHERE slug = 's1'")
    behind_its_back(Item, stock=5)
    before = metrics.by_family().get("testapp.item:list", {}).get("finding", 0)
    with audit.watching(heal=True) as watch:
        READS[name]()
    (finding,) = watch.findings
    assert (finding.family, finding.kind) == ("testapp.item:list", "query")
    assert finding.is_healed
    assert metrics.by_family()["testapp.item:list"]["finding"] == before + 1
    assert audit.recent()[0] == finding
    audit.audit(heal=True)  # The rows of the list are entries of their own.
    with audit.watching() as watch:
        assert READS[name]() != first
        assert READS[name]() != first
    assert not watch.findings


def test_rows_in_another_order_are_the_same_list(
    items: list[Item], redis_client: redis.Redis
) -> None:
    READS["list"]()
    key = entry_of(redis_client)
    parts = entry.unpack(redis_client.get(key) or b"")
    assert parts is not None
    planted = []

    def plant(pks: list[int]) -> None:
        from django_cachepatterns.orm.results import _codec

        planted.append(entry.pack(parts[0], _codec("msgpack").encode([pks])))
        redis_client.set(key, planted[-1], px=60_000)

    pks = [item.pk for item in items]
    plant(pks[::-1])
    with audit.watching() as watch:
        READS["list"]()
    assert (watch.checked, watch.findings) == (1, ())
    plant(pks[:-1])
    with audit.watching() as watch:
        READS["list"]()
    assert len(watch.findings) == 1
    assert redis_client.get(key) == planted[-1]


@pytest.mark.parametrize(
    "read",
    [
        lambda: list(Item.objects.order_by("name").cache(ttl=60)[:2]),
        lambda: list(Item.objects.order_by("shelf__name").cache(ttl=60)[:2]),
        lambda: Item.objects.filter(stock=0).cache(ttl=60, invalidation="ttl").count(),
    ],
)
def test_what_may_differ_is_not_compared(read: Callable[[], Any], items: list[Item]) -> None:
    read()
    behind_its_back(Item, stock=5, name="same")
    with audit.watching() as watch:
        read()
    assert watch.checked == 0


def test_the_last_digits_of_a_float_are_not_compared(redis_client: redis.Redis) -> None:
    Everything.objects.bulk_create(Everything(floating=n / 7) for n in range(20))

    def read() -> Any:
        return Everything.objects.cache(ttl=60).aggregate(Sum("floating"))["floating__sum"]

    total = read()
    key = entry_of(redis_client)
    data = redis_client.get(key) or b""
    off = total + 1e-13
    assert off != total

    redis_client.set(key, data.replace(struct.pack(">d", total), struct.pack(">d", off)))
    with audit.watching() as watch:
        assert read() == off
    assert (watch.checked, watch.findings) == (1, ())


def test_reads_in_a_transaction_are_left_alone(items: list[Item]) -> None:
    READS["count"]()
    with audit.watching() as watch, transaction.atomic():
        READS["count"]()
    assert watch.checked == 0


def test_a_read_outlives_a_database_that_fails_its_audit(
    items: list[Item], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    READS["count"]()

    def fail(self: Result) -> Any:
        raise DatabaseError("too slow")

    real = Result.__init__

    def failing(self: Result, *args: Any) -> None:
        real(self, *args)
        self.compute = lambda: fail(self)

    monkeypatch.setattr(Result, "__init__", failing)
    with audit.watching(), caplog.at_level(logging.WARNING, "django_cachepatterns"):
        assert READS["count"]() == 3
    said: Any = caplog.records[-1]
    assert said.event == "audit_failed"


def test_a_share_is_compared_and_nothing_after_the_end(items: list[Item]) -> None:
    READS["count"]()
    with audit.watching(share=0.5) as watch:
        for _ in range(200):
            READS["count"]()
    assert 50 < watch.checked < 150
    number = watch.checked
    READS["count"]()
    assert watch.checked == number
    assert Piece.objects.cache(ttl=60).count() == 0


@pytest.mark.parametrize("share", [0, -1, 1.5])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(PolicyError, match="share"):
        audit.watch(share)
