"""How far an interrupted warming has come; kept on the cache server, beside the entries."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from django.core.exceptions import ValidationError

from .. import fields, keys
from ..orm.rows import CachedRows


class Place(NamedTuple):
    """Where a warming of a model has come to.

    Args:
        after: the primary key of the last row of those that are done, as the ORM takes it.
        done: how many rows that were.
    """

    after: Any
    done: int


class Position:
    """The place of one model's warming.

    It goes with the entries: when they are dropped, and when those that were warmed last expire.
    Then warming begins anew, and leaves alone what is there.

    Args:
        rows: the model's.
    """

    def __init__(self, rows: CachedRows) -> None:
        self._rows = rows
        self._key = rows.family + b"~warming"

    def load(self) -> Place | None:
        """Where the last run has stopped, if it was interrupted. Raises `StoreUnavailable`."""
        data = self._rows.store.get(self._key)
        try:
            said = json.loads(data or b"")
            after = fields.target(self._rows.pk).to_python(said["after"])
            return Place(after, int(said["done"]))
        except (ValueError, KeyError, TypeError, ValidationError):
            return None

    def save(self, place: Place) -> None:
        """Remember a place, as long as entries live. Raises `StoreUnavailable`."""
        after = keys.value_text(self._rows.key_of(place.after))
        said = json.dumps({"after": after, "done": place.done}).encode()
        self._rows.store.put(self._key, said, int(self._rows.policy.ttl * 1000))

    def forget(self) -> None:
        """All was done. Raises `StoreUnavailable`."""
        self._rows.store.drop([self._key])
