"""A row that a cached query finds, which offers it to the cache by the real code."""

from __future__ import annotations

from typing import Any

from django_cachepatterns.orm.listed import ListedRows
from django_cachepatterns.reader import Reader
from django_cachepatterns.sources import Loaded
from django_cachepatterns.stampede.flights import Flights

from .rows import Row, RowWorld
from .schedules import LOADS, Actor
from .server import Server
from .stepwise import Stepwise


class Rows:
    """What `ListedRows.offer` needs of the rows."""

    class shape:
        """A row is its version."""

        row = staticmethod(str)

    def __init__(self, world: RowWorld, store: Stepwise) -> None:
        before, _, self._pk = world.server.key.rpartition(b":")
        self.family = before + b":"
        self.policy, self.store = world.policy, store
        self.reader = world.reader(store, world.load)

    def pk_of(self, row: str) -> str:
        return self._pk.decode()

    def may_fill(self, pk: str) -> bool:
        return True


class ListWorld(RowWorld):
    """A row without tags, in a list that depends on its table's.

    Args:
        server: where the row's entry is.
        table: where the table's tag is.
    """

    def __init__(self, server: Server, table: Server, **options: Any) -> None:
        super().__init__(server, marked=[server, table], **options)
        self.table, self.list = table, server.beside("list")
        self.places += [self.table, self.list]
        for place in self.places:
            place.restore(None)

    def add_lister(self) -> None:
        """Somebody who runs the cached query."""
        self.add("list", self._list)

    def _list(self, actor: Actor) -> None:
        store = Stepwise(actor, self)

        def query() -> Loaded:
            found = actor.do(LOADS, self.load)
            self.offer(actor, store, found.values["row"], lister)
            return Loaded({"row": "the row's key"}, publish=True)

        source = Row(self.list.key, query, self.policy, tags=(self.table.key,))
        lister: Reader[str, str] = Reader(source, store, store.clock, Flights())  # type: ignore[arg-type]
        lister.read(["row"])

    def offer(self, actor: Actor, store: Stepwise, row: str, lister: Reader[str, str]) -> None:
        """As `orm.lists` does it."""
        if lister.leased_tags:
            ListedRows(Rows(self, store)).offer([row], lister.leased_tags)  # type: ignore[arg-type, list-item]

    def wrong_at_the_end(self) -> str | None:
        """What `RowWorld` says, and a list that is not cached again."""
        wrong = super().wrong_at_the_end()
        if wrong is not None or self.only_freshness:
            return wrong
        ran: list[str] = []

        def query() -> Loaded:
            ran.append("once")
            return Loaded({"row": "the row's key"}, publish=True)

        source = Row(self.list.key, query, self.policy, tags=(self.table.key,))
        for _ in range(2):
            Reader(source, self.server.store, flights=Flights()).read(["row"])
        return "the list is loaded again and again" if len(ran) > 1 else None
