"""The rows of a list: read as entries of their own, and stored as such when the list is loaded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from typing import Any

from .. import entry, keys
from ..exceptions import StoreUnavailable
from ..metrics.timing import Call
from ..transactions import open_writes
from .rows import CachedRows, Untranslatable
from .shape import Row


class ListedRows:
    """What lists ask of a model's cached rows.

    Args:
        rows: the rows.
    """

    def __init__(self, rows: CachedRows) -> None:
        self.rows = rows

    def entry_keys(self, pks: Iterable[Any]) -> list[bytes]:
        """The keys of rows."""
        return [keys.row(self.rows.family, pk) for pk in pks]

    def instances_in(
        self, found: Sequence[bytes | None], pks: Sequence[Any], seen_as: str, call: Call
    ) -> list[Any] | None:
        """Instances of rows whose entries were fetched; `None` where one must be loaded.

        Args:
            pks: whose entries they are.
            seen_as: what the instances say they came from.
            call: what this is a part of.
        """
        names = self.entry_keys(pks)
        if self.rows.refreshes or (
            open_writes.count and self.rows.must_bypass(*names, quietly=True)
        ):
            return None
        hits = self.rows.all_hits(found, names, call.began)
        return None if hits is None else self.rows.shape.instances(hits, seen_as)

    def get_list_under(
        self,
        asked: Sequence[Any],
        tags: Mapping[bytes, bytes | None],
        seen_as: str,
        call: Call,
        ages: bool = False,
    ) -> list[Any] | None:
        """Instances of a list that was found under some versions of tags; `None` where one has
        changed since, or a row is gone: then the list is not what it was.

        Args:
            asked: primary keys, in whatever order, some of them perhaps several times.
            seen_as: what the instances say they came from.
            call: what this is a part of.
            ages: whether writes leave the list as it is; then a row that is gone is left out.

        One round trip where all rows are there.
        """
        names = self.entry_keys(asked)
        if open_writes.count and self.rows.must_bypass(*names, quietly=True):
            return None
        try:
            found = self.rows.store.get_many([*names, *tags])
            if found[len(names) :] != list(tags.values()):
                return None
            hits = None
            if not self.rows.refreshes:
                hits = self.rows.all_hits(found[: len(names)], names, call.began)
            if hits is not None:
                return self.rows.shape.instances(hits, seen_as)
            by_pk = dict(zip(asked, found, strict=False))
            rows = self.rows.reader.resume(list(by_pk), list(by_pk.values()), call)
            if not ages and len(rows) < len(by_pk):
                return None
            if tags and self.rows.store.get_many(list(tags)) != list(tags.values()):
                return None
        except (StoreUnavailable, Untranslatable):
            return None
        return self.rows.shape.instances(
            _each_its_own([rows[pk] for pk in asked if pk in rows]), seen_as
        )

    def offer(self, loaded: Sequence[Sequence[Any]], tags: Mapping[bytes, bytes]) -> None:
        """Store rows that a query gave, where they have no entry.

        Args:
            loaded: whole rows, as the driver gave them.
            tags: versions from before the query. While they hold after the leases on the rows
                were taken, no write to these rows was begun before; a later one ends the leases.
        """
        rows = {self.rows.pk_of(row): self.rows.shape.row(row) for row in loaded}
        pks = [pk for pk in rows if self.rows.may_fill(pk)]
        if not pks:
            return
        lease = entry.lease(entry.new_token())
        names = self.entry_keys(pks)
        try:
            # A tag that is gone is made anew, as any lease does: an empty one would be of no use.
            fresh = entry.tag(entry.new_token())
            found, current = self.rows.store.lease(
                names, lease, int(self.rows.policy.lease_ttl * 1000), list(tags), fresh
            )
            taken = [at for at, data in enumerate(found) if data is None]
            made = {}
            if current == list(tags.values()):
                for at in taken:
                    packed = self.rows.reader.packed(pks[at], rows[pks[at]], self.rows.store.epoch)
                    if packed is not None:
                        made[at] = packed
            if made:
                entries, ttls = zip(*made.values(), strict=True)
                self.rows.store.fill([names[at] for at in made], lease, entries, ttls)
            left = [names[at] for at in taken if at not in made]
            if left:
                self.rows.store.release(left, lease)
        except StoreUnavailable as error:
            self.rows.reader.failed(error)


def _each_its_own(rows: Sequence[Row]) -> list[Row]:
    """Rows of which none shares anything with another: a join may give one several times."""
    seen: set[int] = set()
    own = []
    for row in rows:
        own.append(_copied(row) if id(row) in seen else row)
        seen.add(id(row))
    return own


def _copied(row: Row) -> Row:
    return {
        name: deepcopy(value) if isinstance(value, list | dict) else value
        for name, value in row.items()
    }
