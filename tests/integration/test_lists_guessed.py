"""A list that this process has seen before is asked for together with its rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from django_cachepatterns.exceptions import PolicyError
from django_cachepatterns.orm import lists
from django_cachepatterns.orm.rows import rows_of
from django_cachepatterns.testing import assert_store_commands
from tests.testapp.models import Shelf

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def shelves() -> list[Shelf]:
    lists._guesses.clear()
    made = [Shelf.objects.create(name=f"shelf {n}") for n in range(5)]
    names()
    names()
    return made


def queryset() -> Any:
    return Shelf.objects.order_by("name").cache()


def names() -> list[str]:
    return [shelf.name for shelf in queryset()]


def test_it_is_one_round_trip(django_assert_num_queries: Any) -> None:
    with assert_store_commands(1) as sent, django_assert_num_queries(0):
        assert names() == [f"shelf {n}" for n in range(5)]
    assert sent == ["MGET"]


def test_each_time_the_instances_are_the_callers_own() -> None:
    first, second = list(queryset()), list(queryset())
    first[0].name = "mine"
    assert second[0].name == "shelf 0"
    assert first[0] is not second[0]


def test_a_list_that_another_process_has_filled_anew_is_met_as_it_is(
    shelves: list[Shelf], elsewhere: Callable[..., Any], django_assert_num_queries: Any
) -> None:
    guessed = dict(lists._guesses)
    Shelf.objects.create(name="shelf 9")
    shelves[0].delete()
    assert elsewhere(names) == ["shelf 1", "shelf 2", "shelf 3", "shelf 4", "shelf 9"]
    lists._guesses.clear()
    lists._guesses.update(guessed)
    with django_assert_num_queries(0):
        assert names() == ["shelf 1", "shelf 2", "shelf 3", "shelf 4", "shelf 9"]
    with assert_store_commands(1):
        names()


def test_a_row_that_was_evicted_is_loaded(
    shelves: list[Shelf], redis_client: Any, django_assert_num_queries: Any
) -> None:
    rows = rows_of(Shelf)
    assert rows is not None
    redis_client.delete(rows.entry_key(shelves[2].pk))
    with django_assert_num_queries(1):
        assert names() == [f"shelf {n}" for n in range(5)]
    with assert_store_commands(1), django_assert_num_queries(0):
        names()


def test_a_row_that_was_written_is_seen(shelves: list[Shelf]) -> None:
    Shelf.objects.filter(pk=shelves[4].pk).update(name="a")
    assert names() == ["a", "shelf 0", "shelf 1", "shelf 2", "shelf 3"]


def test_what_is_remembered_is_bounded() -> None:
    for number in range(lists.MOST_GUESSES + 5):
        lists._remember(b"%d" % number, [1])
    assert len(lists._guesses) <= lists.MOST_GUESSES
    lists._guesses.clear()
    lists._remember(b"long", list(range(lists.LONGEST_GUESS + 1)))
    assert not lists._guesses


# Tags of the user's own


def test_tags_have_no_order(django_assert_num_queries: Any) -> None:
    list(Shelf.objects.order_by("pk").cache(tags=["b", "a"]))
    with django_assert_num_queries(0):
        list(Shelf.objects.order_by("pk").cache(tags={"a", "b"}))


def test_tags_that_are_no_names_are_refused() -> None:
    with pytest.raises(PolicyError, match="Give a name, or a list of names"):
        Shelf.objects.cache(tags=7)  # type: ignore[arg-type]
