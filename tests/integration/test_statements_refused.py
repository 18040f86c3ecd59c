"""Statements that fail outside of a transaction leave no marks behind."""

from __future__ import annotations

import pytest
import redis
from django.conf import settings
from django.db import DatabaseError

from tests.testapp.models import TextRow

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("code", ["a\x00b", "\ud800", "x" * 300])
def test_a_value_that_the_driver_or_the_database_refuses(
    code: str, redis_client: redis.Redis
) -> None:
    with pytest.raises((DatabaseError, UnicodeEncodeError)):
        TextRow.objects.create(pk=code, n=1)
    found = redis_client.scan_iter(f"{settings.KEY_PREFIX}:testapp.textrow:*")
    assert [key for key in found if (redis_client.get(key) or b"")[:1] == b"W"] == []
