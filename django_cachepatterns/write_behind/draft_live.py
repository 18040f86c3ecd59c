"""What a draft's rows say now: the database's columns, and over them what waits.

The buffer is looked at first, then one statement reads the rows, which batches the ledger has, and
whether anything was written around the buffer: see `live`. What waits in a batch that the ledger
has is in the row already, or was overtaken there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from django.db import DataError, connections
from django.db.models import QuerySet

from .. import fields
from ..exceptions import CodecError
from ..stores.buffers import LARGEST
from . import around, live
from .draft_row import DraftRow
from .draft_wire import Saved, decode
from .members import member_of
from .records import DirectWrite, LedgerEntry
from .sql import Table

if TYPE_CHECKING:
    from .draft import Draft

TRIES = 5
"""How often rows are read again that somebody writes around the buffer all the while."""


class _Moment(NamedTuple):
    """What the database says at one moment.

    Args:
        rows: columns by attname, by member.
        done: the batches that have reached it.
        around: whether anything of these rows was written around the buffer.
    """

    rows: dict[bytes, dict[str, Any]]
    done: set[str]
    around: bool


def rows_of(draft: Draft, pks: Sequence[Any]) -> Iterator[tuple[Any, DraftRow]]:
    """The rows of some primary keys, by those as they were given. What is nowhere is left out."""
    size = min(LARGEST // 2, max(1, LARGEST // len(draft.columns())))
    for at in range(0, len(pks), size):
        yield from _rows(draft, pks[at : at + size])


def _rows(draft: Draft, pks: Sequence[Any]) -> Iterator[tuple[Any, DraftRow]]:
    members = [member_of(draft.model, pk) for pk in pks]
    names = draft.columns()
    asked = [b"%b:%b" % (name.encode(), member) for member in members for name in names]
    looked = live.look(draft, asked)
    waits = any(value is not None for _, values in looked for value in values)
    moment, written = _settled(draft, pks, members, [batch for batch, _ in looked], waits)
    values_of = [values for batch, values in reversed(looked) if batch not in moment.done]
    for at, (pk, member) in enumerate(zip(pks, members, strict=True)):
        waiting: dict[str, Saved] = {}
        for offset, name in enumerate(names, at * len(names)):
            raw = next((found for each in values_of if (found := each[offset]) is not None), None)
            if raw is not None:
                with suppress(CodecError):  # The flush will make a dead letter of it.
                    waiting[name] = decode(raw)
        waiting = draft.not_overtaken(member, waiting, written)
        row = _merged(draft, moment.rows.get(member), waiting)
        if row is not None:
            yield pk, DraftRow(draft.model, pk.pk if hasattr(pk, "pk") else pk, row)


def _merged(
    draft: Draft, row: dict[str, Any] | None, waiting: dict[str, Saved]
) -> dict[str, Any] | None:
    if row is None:
        if not waiting:
            return None
        row = draft.defaults() if draft.create else {}
    connection = connections[draft.alias]
    found = dict(row)
    for name, saved in waiting.items():
        with suppress(DataError):
            found[name] = draft.column(name).read(saved.value, connection)
    return {name: found[name] for name in draft.columns() if name in found}


def _settled(
    draft: Draft, pks: Sequence[Any], members: list[bytes], batches: list[str], waits: bool
) -> tuple[_Moment, dict[tuple[bytes, str], int]]:
    """The rows, and what was written around the buffer, of one moment.

    These are two statements: where there is something of the second, both are read until nobody
    has written in between.
    """
    moment = _read(draft, pks, members, batches)
    written: dict[tuple[bytes, str], int] = {}
    for _ in range(TRIES if waits and moment.around else 0):
        before, written = written, around.newest(draft.alias, draft.name, members)
        if before == written:
            break
        moment = _read(draft, pks, members, batches)
    return moment, written


def _read(
    draft: Draft, pks: Sequence[Any], members: Sequence[bytes], batches: Sequence[str]
) -> _Moment:
    connection = connections[draft.alias]
    quote = connection.ops.quote_name
    table = Table(connection, draft.model)
    columns = [draft.column(name).field for name in draft.columns()]
    ledger, direct = (quote(each._meta.db_table) for each in (LedgerEntry, DirectWrite))
    flags = [f"EXISTS (SELECT 1 FROM {ledger} WHERE batch = %s)"] * len(batches)
    texts = list(map(around.text_of, members))
    flags.append(
        f"EXISTS (SELECT 1 FROM {direct} WHERE buffer = %s "
        f"AND member IN ({', '.join(['%s'] * len(texts))}))"
    )
    selected = [f"{table.name}.{each}" for each in (table.pk, *map(_quoted(quote), columns))]
    batch_field: Any = LedgerEntry._meta.pk
    keys = [fields.prepared(draft.model, getattr(pk, "pk", pk)) for pk in pks]
    with connection.cursor() as cursor:
        cursor.execute(
            # A row even where the table has none, for what is said beside it.
            f"SELECT {', '.join(chain(flags, selected))} FROM (SELECT 1 AS one) AS moment "
            f"LEFT JOIN {table.name} ON {table.name}.{table.pk} "
            f"IN ({', '.join(['%s'] * len(keys))})",
            [
                *(batch_field.get_db_prep_value(UUID(batch), connection) for batch in batches),
                *(draft.name, *texts),
                *table.prepared(keys),
            ],
        )
        found = cursor.fetchall()
    flags_of = found[0][: len(flags)]
    done = {batch for batch, yes in zip(batches, flags_of, strict=False) if yes}
    rows = [row[len(flags) :] for row in found if row[len(flags)] is not None]
    return _Moment(dict(_converted(draft, columns, rows)), done, bool(flags_of[-1]))


def _quoted(quote: Any) -> Any:
    return lambda field: quote(field.column)


def _converted(
    draft: Draft, columns: Sequence[Any], rows: Sequence[Any]
) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Rows as a query would give them."""
    model: Any = draft.model
    key = fields.primary_key(model)
    compiler = QuerySet(model, using=draft.alias).query.get_compiler(using=draft.alias)
    converters = compiler.get_converters(
        [field.get_col(model._meta.db_table) for field in (key, *columns)]
    )
    names = [field.attname for field in columns]
    for pk, *values in compiler.apply_converters(rows, converters) if converters else rows:
        yield member_of(model, pk), dict(zip(names, values, strict=True))
