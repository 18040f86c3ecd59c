"""Orders that Python can put rows in just as the database would."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.db.models import Model
from django.db.models.sql import Query

from .. import fields


def sorter(query: Query, model: type[Model]) -> Callable[[Iterable[Any]], list[Any]] | None:
    """Puts instances in the query's order; `None` where only the database knows that order.

    Only by primary key: how text, nulls and collations sort is the database's own affair.
    Without an order the database promises none; primary keys ascending is what it mostly gives.
    """
    ordering = query.order_by or (query.default_ordering and query.get_meta().ordering) or ()
    if query.extra_order_by or len(ordering) > 1:
        return None
    pk = fields.primary_key(model)
    descending = False
    if ordering:
        name = ordering[0]
        if not isinstance(name, str):
            return None
        descending = name.startswith("-")
        if name.lstrip("-") not in ("pk", pk.name, pk.attname):
            return None
        if not query.standard_ordering:
            descending = not descending
        if not _sorts_like_python(pk):
            return None
    attname = pk.attname

    def put_in_order(instances: Iterable[Any]) -> list[Any]:
        found = list(instances)
        if ordering or _sorts_like_python(pk):
            found.sort(key=lambda each: each.__dict__[attname], reverse=descending)
        return found

    return put_in_order


def _sorts_like_python(pk: Any) -> bool:
    internal: str = fields.target(pk).get_internal_type()
    return internal.endswith(("AutoField", "IntegerField"))
