"""What is wrong is refused where it is said, by a message that names the fault and the remedy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from django_cachepatterns import CachePolicy, ReadThrough, cache_aside, read_through
from django_cachepatterns.exceptions import PolicyError
from django_cachepatterns.values import dependency_problems
from tests.testapp.models import Item

pytestmark = pytest.mark.django_db(transaction=True)


def function(a: int) -> int:
    return a


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cache_aside(tags=7)(function), "7 is neither a name nor several. Give a list"),
        (lambda: cache_aside(depends_on=7)(function), "7 is neither a name nor several"),
        (lambda: ReadThrough("refused", load=function, tags=7), "Give a list of names"),
        (lambda: cache_aside(property(function)), "Write @property above it"),
        (lambda: cache_aside(admit_after=256)(function), "a whole number from 1 to 255"),
        (lambda: read_through("testapp.Item"), "got 'testapp.Item'. Give it a model class"),
        (lambda: read_through(Item()), "Give it a model class"),
    ],
)
def test_a_fault_is_named_with_its_remedy(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(PolicyError) as refused:
        make()
    assert message in str(refused.value)


def test_a_key_that_was_asked_for_often_enough_is_admitted_at_last() -> None:
    @cache_aside(key="often", admit_after=255)
    def often() -> int:
        return 1

    for _ in range(255):
        often()
    assert often.get() == 1
    assert not list(CachePolicy(admit_after=255).problems())


def test_a_codec_that_is_not_there_is_named() -> None:
    cached = cache_aside(key="no-codec:{a}", codec="nowhere.codec")(function)
    with pytest.raises(ImproperlyConfigured, match=r"function: codec 'nowhere.codec' cannot be"):
        cached(1)


def test_a_database_that_is_not_there_is_named() -> None:
    cached = cache_aside(key="no-database:{a}", depends_on=[Item], databases="replcia")(function)
    fault = "databases has 'replcia', which is not in DATABASES. Use one of: default, other."
    with pytest.raises(PolicyError, match=fault):
        cached(1)
    assert any(fault in problem for problem in dependency_problems())
