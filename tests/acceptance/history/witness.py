"""What is committed, seen past every cache."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from django.db import connection

from .chronicle import Chronicle


class Noted(NamedTuple):
    """The committed state of a row, or of a slug."""

    present: bool
    version: int
    """Of the row: its stock. Of a slug: its generation, the place of its row."""
    pk: int | None = None
    stock: int = 0


class Witness:
    """A connection of its own, always in autocommit, that reads with plain SQL."""

    def __init__(self) -> None:
        self.connection = connection.copy()
        self.chronicle = Chronicle(self.connection)

    def rows(self, pks: Sequence[int]) -> dict[int, Noted]:
        """The rows as they are committed now."""
        found = self._all(
            "SELECT a.pk, a.version, i.stock FROM history_absence a "
            "LEFT JOIN testapp_item i ON i.id = a.pk WHERE a.pk = ANY(%s)",
            list(pks),
        )
        return {
            pk: Noted(True, stock, pk, stock) if stock is not None else Noted(False, version)
            for pk, version, stock in found
        }

    def slugs(self, slugs: Sequence[str]) -> dict[str, Noted]:
        """The slugs as they are committed now."""
        found = self._all(
            "SELECT a.slug, a.version, i.id, i.place, i.stock FROM history_absence a "
            "LEFT JOIN testapp_item i ON i.slug = a.slug WHERE a.slug = ANY(%s)",
            list(slugs),
        )
        return {
            slug: Noted(True, place, pk, stock) if pk is not None else Noted(False, version)
            for slug, version, pk, place, stock in found
        }

    def row_gone_at(self, pk: int) -> int:
        """The version at which a row was deleted the last time."""
        return int(self._all("SELECT version FROM history_absence WHERE pk = %s", pk)[0][0])

    def slug_gone_at(self, slug: str) -> int:
        """The generation at which a slug was given up the last time."""
        return int(self._all("SELECT version FROM history_absence WHERE slug = %s", slug)[0][0])

    def _all(self, sql: str, argument: object) -> list[tuple]:
        with self.connection.cursor() as cursor:
            cursor.execute(sql, [argument])
            return cursor.fetchall()
