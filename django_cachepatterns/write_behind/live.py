"""Live values: what the database has and what waits, with nothing counted twice.

The buffer is looked at first: each batch has its id from birth, the active one, too. Then one
statement reads the rows together with which of those batches are in the ledger; their part is in
the rows already, the others' is added. What was counted before the look is in it once. What was
counted later may be in it (in a batch that was born after the look and applied before the
statement), never twice. So a value that is read later is never smaller, while nothing is taken
away.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import connections

from .. import fields
from ..exceptions import PolicyError, StoreUnavailable
from ..stores.buffers import LARGEST
from . import ledger
from .cached_counts import cached_counts
from .members import member_of
from .records import LedgerEntry
from .sql import Table

if TYPE_CHECKING:
    from .counter import CounterBuffer

Looked = list[tuple[str, list[bytes | None]]]
"""What waits, by batch: for each member its value, `None` where it has none."""


def look(buffer: Any, members: Sequence[bytes]) -> Looked:
    """What waits for members, in all batches. Nothing, where the server cannot be reached."""
    try:
        return list(buffer.server().look(buffer.keys(), members))
    except (StoreUnavailable, PolicyError):
        return []


def counts(buffer: CounterBuffer, pks: Iterable[Any]) -> dict[Any, int]:
    """Flushed and waiting, by the primary keys as they were given; missing rows are left out."""
    found: dict[Any, int] = {}
    pks = list(pks)
    for at in range(0, len(pks), LARGEST):
        found.update(_counts(buffer, pks[at : at + LARGEST]))
    return found


def _counts(buffer: CounterBuffer, pks: Sequence[Any]) -> Iterator[tuple[Any, int]]:
    members = [member_of(buffer.model, pk) for pk in pks]
    known = cached_counts(buffer, members)
    rest = [pk for pk, member in zip(pks, members, strict=True) if member not in known]
    if rest:
        known |= _queried(buffer, rest)
    for pk, member in zip(pks, members, strict=True):
        if member in known:
            yield pk, known[member]


def _queried(buffer: CounterBuffer, pks: Sequence[Any]) -> dict[bytes, int]:
    members = [member_of(buffer.model, pk) for pk in pks]
    looked = look(buffer, members)
    rows, done = flushed(buffer, pks, [batch for batch, _ in looked])
    return {
        member: int(rows[member][0] or 0)  # MariaDB's UNION makes decimals of them.
        + sum(int(values[at] or 0) for batch, values in looked if batch not in done)
        for at, member in enumerate(members)
        if member in rows
    }


def pending(buffer: CounterBuffer, pk: Any = None) -> int:
    """The sum of what waits, of one row or of all. Raises `StoreUnavailable`."""
    if pk is None:
        return sum(each.total for each in buffer.backlog())
    looked = list(buffer.server().look(buffer.keys(), [member_of(buffer.model, pk)]))
    done = ledger.applied(buffer.alias, [batch for batch, _ in looked])
    return sum(int(values[0] or 0) for batch, values in looked if batch not in done)


def flushed(
    buffer: Any, pks: Sequence[Any], batches: Sequence[str]
) -> tuple[dict[bytes, tuple[Any, ...]], set[str]]:
    """Columns of rows, by member, and which of some batches are in them: of one moment.

    One statement, because two would see two moments.
    """
    if not pks:
        return {}, set()
    connection = connections[buffer.alias]
    table = Table(connection, buffer.model)
    quote = connection.ops.quote_name
    columns = [quote(fields.column(buffer.model, name).column) for name in buffer.columns()]
    prepared = [fields.prepared(buffer.model, getattr(pk, "pk", pk)) for pk in pks]
    # The batches are rows beside the others: columns would be too many, when the database is away
    # for long.
    sql = (
        f"SELECT {', '.join([table.pk, *columns, 'NULL'])} "
        f"FROM {table.name} WHERE {table.pk} IN ({_places(pks)})"
    )
    params = table.prepared(prepared)
    if batches:
        field: Any = LedgerEntry._meta.pk
        nothing = ", ".join(["NULL"] * (1 + len(columns)))
        sql += (
            f" UNION ALL SELECT {nothing}, {quote(field.column)} "
            f"FROM {quote(LedgerEntry._meta.db_table)} "
            f"WHERE {quote(field.column)} IN ({_places(batches)})"
        )
        params += [field.get_db_prep_value(UUID(batch), connection) for batch in batches]
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        found = cursor.fetchall()
    rows = {
        member_of(buffer.model, table.key.to_python(pk)): tuple(values)
        for pk, *values, batch in found
        if batch is None
    }
    done = {UUID(str(batch)).hex for *_, batch in found if batch is not None}
    return rows, done


def _places(values: Sequence[Any]) -> str:
    return ", ".join(["%s"] * len(values))
