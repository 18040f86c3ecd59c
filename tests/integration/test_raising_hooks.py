"""What a hook or a codec raises leaves nothing of a write undone."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from django.db import connection, transaction

from django_cachepatterns import cache_aside, hooks
from django_cachepatterns.orm.rows import rows_of
from django_cachepatterns.reader import Reader
from tests.testapp.models import Item, Shelf

pytestmark = pytest.mark.django_db(transaction=True)


def broken(details: Any) -> None:
    raise ValueError("a hook's own fault")


def is_marked(row: Any) -> bool:
    rows = rows_of(type(row))
    assert rows is not None
    rows.store.settle()
    return bool((rows.store.get(rows.entry_key(row.pk)) or b"")[:1] == b"W")


@pytest.fixture
def both() -> tuple[Shelf, Item]:
    return Shelf.objects.create(name="old"), Item.objects.create(name="old", slug="old")


def rename(*rows: Any) -> None:
    for row in rows:
        with transaction.atomic():  # A level of marks for each.
            row.name = "new"
            row.save()


@pytest.mark.parametrize("name", ["before_end_write", "after_invalidation"])
def test_a_commit_ends_every_mark_whatever_a_hook_raises(both: Any, name: str) -> None:
    told: list[bytes] = []
    hooks.add(name, broken)
    try:
        with (
            hooks.listening(after_invalidation=lambda _: told.append(b"")),
            transaction.atomic(),
        ):
            rename(*both)
            assert all(map(is_marked, both))
    finally:
        hooks.remove(name, broken)
    assert not any(map(is_marked, both))
    assert [type(row).objects.get(pk=row.pk).name for row in both] == ["new", "new"]
    assert bool(told) is (name == "before_end_write")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_rollback_ends_every_mark_whatever_a_hook_raises(both: Any) -> None:
    with hooks.listening(before_end_write=broken), transaction.atomic():
        rename(*both)
        transaction.set_rollback(True)
    assert not any(map(is_marked, both))


def test_a_save_in_autocommit_raises_it_when_its_mark_has_ended(both: Any) -> None:
    shelf, _ = both
    assert connection.get_autocommit()
    with (
        hooks.listening(before_end_write=broken),
        pytest.raises(ValueError, match="a hook's own fault"),
    ):
        shelf.save()
    assert not is_marked(shelf)


def test_a_commit_ends_the_mark_of_a_row_that_cannot_be_stored_again(
    both: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    policies = {"testapp.Shelf": {"pattern": "write_through"}}
    settings.CACHEPATTERNS = {**settings.CACHEPATTERNS, "POLICIES": policies}
    with monkeypatch.context() as patched:
        patched.setattr(Reader, "packed", lambda *_: broken(None))
        with transaction.atomic():
            rename(*both)
    assert not any(map(is_marked, both))
    assert [type(row).objects.get(pk=row.pk).name for row in both] == ["new", "new"]


@cache_aside(key="loader-raises")
def raising() -> str:
    raise ValueError("the loader's own fault")


def test_what_a_loader_raises_reaches_the_caller_whatever_a_hook_suppresses() -> None:
    with (
        hooks.listening(around_load=lambda _: suppress(ValueError)),
        pytest.raises(ValueError, match="the loader's own fault"),
    ):
        raising()
