"""Orders that Python can put rows in just as the database would."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from django.db.models import Model
from django.db.models.sql import Query

from .. import fields


class Order(NamedTuple):
    """By primary key, or (`sorts` false) in whatever order."""

    sorts: bool
    descending: bool

    def arrange(self, pks: Iterable[Any]) -> list[Any]:
        """Distinct primary keys in this order."""
        distinct = dict.fromkeys(pks)
        return sorted(distinct, reverse=self.descending) if self.sorts else list(distinct)


def order_of(query: Query, model: type[Model]) -> Order | None:
    """The query's order; `None` where only the database knows it.

    Only by primary key: how text, nulls and collations sort is the database's own affair.
    Without an order the database promises none; primary keys ascending is what it mostly gives.
    """
    ordering = query.order_by or (query.default_ordering and query.get_meta().ordering) or ()
    if query.extra_order_by or len(ordering) > 1:
        return None
    pk = fields.primary_key(model)
    comparable = _sorts_like_python(pk)
    if not ordering:
        return Order(comparable, descending=False)
    name = ordering[0]
    if not isinstance(name, str) or not comparable:
        return None
    if name.lstrip("-") not in ("pk", pk.name, pk.attname):
        return None
    return Order(True, name.startswith("-") is query.standard_ordering)


def _sorts_like_python(pk: Any) -> bool:
    internal: str = fields.target(pk).get_internal_type()
    return internal.endswith(("AutoField", "IntegerField"))
