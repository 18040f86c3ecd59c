"""A full audit of a hundred thousand entries finds whatever is wrong, and nothing else."""

from __future__ import annotations

import tracemalloc

import pytest
import redis
from django.db import connection

from django_cachepatterns import audit
from tests.testapp.models import Item, Shelf, Versioned, WrittenPiece

from .audits.planting import CORRUPTIONS, Planting

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

ENTRIES = 100_000
PAGE = 1000


def _fill() -> None:
    """Make the rows, and have every one of them cached."""
    shelf = Shelf.objects.create(name="s")
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO testapp_item (id, name, slug, place, stock, shelf_id) "
            "SELECT n, 'item ' || n, 'slug-' || n, n, n * 3, %s FROM generate_series(1, %s) AS n",
            [shelf.pk, ENTRIES],
        )
    for first in range(1, ENTRIES + 1, PAGE):
        page = Item.objects.filter(pk__in=list(range(first, first + PAGE)))
        assert len(page) == PAGE
    for model in (Versioned, WrittenPiece):
        model.objects.create(pk=1)
        model.objects.get(pk=1)


def test_ten_of_ten_corruptions_among_a_hundred_thousand_entries(
    redis_client: redis.Redis,
) -> None:
    _fill()
    report = audit.audit()
    assert report.is_consistent, [str(each) for each in report.findings]
    assert report.checked == ENTRIES + 2
    assert report.is_complete
    planting = Planting(redis_client)
    wrong = {corruption.__name__: corruption(planting) for corruption in CORRUPTIONS}
    assert len(wrong) == 10
    report = audit.audit()
    print(f"{report.checked:,} entries in {report.seconds:.1f} s:")
    print(*report.findings, sep="\n")
    found = {each.key.encode() for each in report.findings}
    missed = [name for name, keys in wrong.items() if not keys <= found]
    assert not missed
    assert found == set().union(*wrong.values())
    report = audit.audit(heal=True)
    assert report.healed == len(found)
    assert audit.audit().is_consistent


def test_an_audit_holds_no_more_than_some_batches_in_memory() -> None:
    _fill()
    tracemalloc.start()
    try:
        assert audit.audit(["testapp.Item"]).checked == ENTRIES
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # A hundred thousand keys alone, as Python objects, take more than that.
    assert peak < 6_000_000, f"{peak:,} bytes"
