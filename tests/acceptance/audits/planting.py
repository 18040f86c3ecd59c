"""Ways in which a cache can be wrong, planted one by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import redis
from django.db import connection

from django_cachepatterns import entry
from django_cachepatterns.orm.rows import CachedRows, rows_of
from tests.testapp.models import Item, Versioned, WrittenPiece


class Planting:
    """Plants corruptions; each method gives the keys of what is wrong afterwards.

    Args:
        client: a bare connection to the server.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._items = _rows(Item)

    def changed_column(self) -> set[bytes]:
        return {self._rewritten(self._items, 10, name="somebody else's")}

    def wrong_null(self) -> set[bytes]:
        return {self._rewritten(self._items, 20, shelf_id=None)}

    def row_that_is_gone(self) -> set[bytes]:
        _sql("DELETE FROM testapp_item WHERE id = 30")
        return {self._items.entry_key(30)}

    def stale(self) -> set[bytes]:
        _sql("UPDATE testapp_item SET stock = 7 WHERE id = 40")
        return {self._items.entry_key(40)}

    def absent_though_it_exists(self) -> set[bytes]:
        return {self._absent(self._items.entry_key(50), self._items.fingerprint)}

    def absent_lookup(self) -> set[bytes]:
        (lookup,) = (each for each in self._items.lookups.values() if each.attnames == {"slug"})
        return {self._absent(lookup.entry_key(("slug-60",)), lookup.fingerprint)}

    def another_rows_payload(self) -> set[bytes]:
        key = self._items.entry_key(70)
        self._put(key, self._get(self._items.entry_key(71)))
        return {key}

    def swapped(self) -> set[bytes]:
        keys = [self._items.entry_key(pk) for pk in (80, 81)]
        for key, data in zip(keys, [self._get(key) for key in reversed(keys)], strict=True):
            self._put(key, data)
        return set(keys)

    def stale_under_a_new_version(self) -> set[bytes]:
        """An old row, made to look as if it had been loaded after the last write."""
        rows = _rows(Versioned)
        key = rows.entry_key(1)
        old = entry.unpack(self._get(key))
        assert old is not None
        Versioned.objects.filter(pk=1).update(n=5)
        Versioned.objects.get(pk=1)
        new = entry.unpack(self._get(key))
        assert new is not None
        self._put(key, entry.pack(new[0], old[1]))
        return {key}

    def written_through(self) -> set[bytes]:
        return {self._rewritten(_rows(WrittenPiece), 1, rank=9)}

    def _rewritten(self, rows: CachedRows, pk: Any, **changes: Any) -> bytes:
        key = rows.entry_key(pk)
        parts = entry.unpack(self._get(key))
        assert parts is not None
        row = rows.decode(parts[1])
        assert all(row[name] != value for name, value in changes.items())
        self._put(key, entry.pack(parts[0], rows.encode({**row, **changes})))
        return key

    def _absent(self, key: bytes, fingerprint: bytes) -> bytes:
        rows = self._items
        assert rows.tag is not None
        _, (tag,) = rows.store.lease([], b"", 1, [rows.tag], entry.tag(entry.new_token()))
        epoch = rows.store.epoch
        header = entry.Header(entry.NEGATIVE, fingerprint, epoch, 0, 800, (tag[1:],))
        self._put(key, entry.pack(header))
        return key

    def _get(self, key: bytes) -> bytes:
        data = self._client.get(key)
        assert isinstance(data, bytes), key
        return data

    def _put(self, key: bytes, data: bytes) -> None:
        self._client.set(key, data, px=600_000)


CORRUPTIONS: tuple[Callable[[Planting], set[bytes]], ...] = (
    *(Planting.changed_column, Planting.wrong_null, Planting.row_that_is_gone, Planting.stale),
    *(Planting.absent_though_it_exists, Planting.absent_lookup, Planting.another_rows_payload),
    *(Planting.swapped, Planting.stale_under_a_new_version, Planting.written_through),
)


def _rows(model: Any) -> CachedRows:
    rows = rows_of(model)
    assert rows is not None
    return rows


def _sql(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
