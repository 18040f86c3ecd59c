"""How the results of queries are compared: what a database may answer differently is left out.

Without an ORDER BY rows come in any order, and with one those that tie; so lists are compared as
bags. A slice of such a list may hold other rows the next time, and is not compared. Sums of floats
depend on the order in which they are added up, so the last digits of floats are left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from django.core.exceptions import FieldDoesNotExist

from .. import fields
from ..inspection.names import Name
from ..orm.results import Result
from .looks import Asked, Seen

_ANY_ORDER = re.compile(r"_AGG\(|GROUP_CONCAT\(|\bOVER\b|\bDISTINCT ON\b", re.IGNORECASE)
"""What gives something else for another order of rows, in one value."""
DIGITS = 9
"""Of floats, that are compared."""


class ResultChecker:
    """Compares one query's result, which is in the hands of who has just read it."""

    ages = False

    def __init__(self, result: Result) -> None:
        self.source: Any = _Comparable(result)

    def asked(self, name: Name) -> Any:
        """There is one result to a query."""
        return ""

    def settled(self, asked: Asked, seen: Seen) -> Asked | str:
        """It is compared as it is."""
        return asked

    def load(self, asked: Sequence[Asked]) -> Mapping[Asked, Any]:
        """Run the query."""
        return {each: self.source.compute() for each in asked}


class _Comparable:
    """A result, as a source whose values are equal where the database may give either."""

    tag = None

    def __init__(self, result: Result) -> None:
        self._result = result
        self.name, self.policy = result.name, result.policy
        self.fingerprint, self.encode = result.fingerprint, result.encode
        self.tags, self.compute = result.tags, result.compute

    def decode(self, payload: bytes) -> Any:
        value = _rounded(self._result.decode(payload))
        return sorted(value, key=repr) if isinstance(value, list) else value


def is_comparable(result: Result) -> bool:
    """Whether the query has one answer for one state of the database."""
    if result.policy.invalidation == "ttl" or result.statement is None:
        return False  # It may be older than the database.
    query = result.statement.compiler.query
    if _ANY_ORDER.search(result.statement.sql):
        return False
    return not query.is_sliced or _is_ordered_by_something_unique(query)


def _is_ordered_by_something_unique(query: Any) -> bool:
    meta = query.get_meta()
    order = query.order_by or (meta.ordering if query.default_ordering else ())
    return any(isinstance(name, str) and _is_unique(meta.model, name) for name in order)


def _is_unique(model: Any, name: str) -> bool:
    try:
        field = fields.column(model, name.lstrip("-"))
    except FieldDoesNotExist:
        return False
    return bool(getattr(field, "unique", False)) and not getattr(field, "null", True)


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, list):
        return [_rounded(each) for each in value]
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    return value
