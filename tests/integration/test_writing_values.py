"""Values that are written: the mark stands as long as the write lasts, whatever happens in it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, connections, transaction
from django.test import TestCase

from django_cachepatterns import WriteThrough, cache_aside, invalidate
from tests.testapp.models import Item, Shelf

pytestmark = pytest.mark.django_db(transaction=True)

Elsewhere = Callable[..., Any]
numbers = itertools.count(1)


def fail_a_statement() -> None:
    with pytest.raises(IntegrityError):
        Item.objects.create(name="again", slug="taken")


def commit_a_transaction() -> None:
    with transaction.atomic():
        Shelf.objects.create(name="shelf")


def interrupt_a_statement() -> None:
    def interrupted(*args: Any) -> Any:
        raise RuntimeError("interrupted")

    with connections["default"].execute_wrapper(interrupted), pytest.raises(RuntimeError):
        Shelf.objects.create(name="shelf")


@pytest.mark.parametrize("step", [fail_a_statement, commit_a_transaction, interrupt_a_statement])
def test_the_mark_stands_though_a_statement_ends(
    elsewhere: Elsewhere, step: Callable[[], None]
) -> None:
    place = {"a": "old"}
    seen: list[str] = []
    Item.objects.create(name="first", slug="taken")

    def write(key: str, value: str) -> None:
        step()
        seen.append(elsewhere(values.get, "a"))  # It would store the old value, were it let.
        place[key] = value

    values = WriteThrough(f"standing-{next(numbers)}", load=place.__getitem__, write=write)
    values.set("a", "new")
    assert seen == ["old"]
    assert elsewhere(values.get, "a") == "new"


def test_a_write_within_a_write(elsewhere: Elsewhere) -> None:
    place = {"a": "old", "b": "old"}

    def write(key: str, value: str) -> None:
        if key == "a":
            values.set("b", value)
            elsewhere(values.get, "a")
        place[key] = value

    values = WriteThrough(f"nested-{next(numbers)}", load=place.__getitem__, write=write)
    values.set("a", "new")
    assert elsewhere(values.get_many, ["a", "b"]) == {"a": "new", "b": "new"}


def test_under_manual_transaction_management(elsewhere: Elsewhere) -> None:
    shelf = Shelf.objects.create(name="old")

    def load(key: int) -> str:
        return Shelf.objects.nocache().get(pk=key).name

    def write(key: int, value: str) -> None:
        with connections["default"].cursor() as cursor:
            cursor.execute("UPDATE testapp_shelf SET name = %s WHERE id = %s", [value, key])

    values = WriteThrough(f"manual-{next(numbers)}", load=load, write=write)
    assert values.get(shelf.pk) == "old"
    transaction.set_autocommit(False)
    try:
        values.set(shelf.pk, "new")
        assert [values.get(shelf.pk), elsewhere(values.get, shelf.pk)] == ["new", "old"]
        transaction.rollback()
        assert [values.get(shelf.pk), elsewhere(values.get, shelf.pk)] == ["old", "old"]
        values.set(shelf.pk, "newer")
        transaction.commit()
        assert [values.get(shelf.pk), elsewhere(values.get, shelf.pk)] == ["newer", "newer"]
    finally:
        transaction.rollback()
        transaction.set_autocommit(True)
    assert elsewhere(values.get, shelf.pk) == "newer"


class InTestCase(TestCase):
    """A test's commits never come: what a block leaves marked ends with the block."""

    def test_a_function_is_cached_again_after_a_block(self) -> None:
        calls: list[int] = []

        @cache_aside(key=f"block-{next(numbers)}", depends_on=[Shelf], tags="blocks")
        def shelves() -> int:
            calls.append(1)
            return Shelf.objects.count()

        assert shelves() == 0
        with transaction.atomic():
            Shelf.objects.create(name="shelf")
        assert [shelves(), shelves()] == [1, 1]
        with transaction.atomic():
            invalidate("blocks")
        assert [shelves(), shelves()] == [1, 1]
        assert len(calls) == 3

    def test_a_written_value_is_cached_again_after_a_block(self) -> None:
        place, loads = {"a": 1}, []

        def load(key: str) -> int:
            loads.append(key)
            return place[key]

        values = WriteThrough(f"block-{next(numbers)}", load=load, write=place.__setitem__)
        with transaction.atomic():
            values.set("a", 2)
        assert [values.get("a"), values.get("a")] == [2, 2]
        assert len(loads) == 1
