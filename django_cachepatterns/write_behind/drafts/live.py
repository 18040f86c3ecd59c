"""What a draft's rows say now: the database's columns, and over them what waits.

The buffer is looked at first, then one statement reads the rows, which batches the ledger has, and
what was written around the buffer: see `live`. What waits in a batch that the ledger has is in the
row already, or was overtaken there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from django.db import DataError, connections
from django.db.models import QuerySet

from ... import fields
from ...exceptions import CodecError
from ...stores.buffers import LARGEST
from .. import around, live
from ..members import member_of
from ..records import DirectWrite, LedgerEntry
from ..sql import Table
from .row import DraftRow
from .wire import Saved, decode

if TYPE_CHECKING:
    from .draft import Draft


class _Moment(NamedTuple):
    """What the database says at one moment.

    Args:
        rows: columns by attname, by member.
        done: the batches that have reached it.
        written: when values were written around the buffer, by member and column.
    """

    rows: dict[bytes, dict[str, Any]]
    done: set[str]
    written: dict[tuple[bytes, str], int]


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
    moment = _moment(draft, pks, members, [batch for batch, _ in looked])
    values_of = [values for batch, values in reversed(looked) if batch not in moment.done]
    for at, (pk, member) in enumerate(zip(pks, members, strict=True)):
        waiting: dict[str, Saved] = {}
        for offset, name in enumerate(names, at * len(names)):
            raw = next((found for each in values_of if (found := each[offset]) is not None), None)
            if raw is not None:
                with suppress(CodecError):  # The flush will make a dead letter of it.
                    waiting[name] = decode(raw)
        waiting = draft.not_overtaken(member, waiting, moment.written)
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


def _moment(
    draft: Draft, pks: Sequence[Any], members: Sequence[bytes], batches: Sequence[str]
) -> _Moment:
    connection = connections[draft.alias]
    quote = connection.ops.quote_name
    table = Table(connection, draft.model)
    columns = [draft.column(name).field for name in draft.columns()]
    ledger, direct = (quote(each._meta.db_table) for each in (LedgerEntry, DirectWrite))
    mine = [f"{table.name}.{each}" for each in (table.pk, *_quoted(quote, columns))]
    beside = [f"{ledger}.{quote('batch')}", *(f"{direct}.{quote(each)}" for each in _BESIDE)]
    keys = [fields.prepared(draft.model, getattr(pk, "pk", pk)) for pk in pks]
    # No row of three tables, for the types of columns that have none in each of the others.
    selects = [f"SELECT {', '.join(mine + beside)} FROM {table.name}, {ledger}, {direct} WHERE 1=0"]
    selects.append(
        f"SELECT {', '.join(mine + ['NULL'] * len(beside))} FROM {table.name} "
        f"WHERE {mine[0]} IN ({_places(keys)})"
    )
    params = table.prepared(keys)
    if batches:
        nothing = ["NULL"] * len(mine)
        batch_field: Any = LedgerEntry._meta.pk
        selects.append(
            f"SELECT {', '.join([*nothing, beside[0], *['NULL'] * len(_BESIDE)])} FROM {ledger} "
            f"WHERE {beside[0]} IN ({_places(batches)})"
        )
        params += [batch_field.get_db_prep_value(UUID(batch), connection) for batch in batches]
        selects.append(
            f"SELECT {', '.join([*nothing, 'NULL', *beside[1:]])} FROM {direct} "
            f"WHERE {quote('buffer')} = %s AND {beside[1]} IN ({_places(members)})"
        )
        params += [draft.name, *map(around.text_of, members)]
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(selects), params)
        found = cursor.fetchall()
    end = len(mine)
    by_text = {around.text_of(member): member for member in members}
    return _Moment(
        dict(_converted(draft, columns, [row[:end] for row in found if row[0] is not None])),
        {UUID(str(row[end])).hex for row in found if row[end] is not None},
        {(by_text[row[end + 1]], row[end + 2]): row[end + 3] for row in found if row[end + 1]},
    )


_BESIDE = ("member", "column", "at")


def _quoted(quote: Any, columns: Sequence[Any]) -> list[str]:
    return [quote(field.column) for field in columns]


def _places(values: Sequence[Any]) -> str:
    return ", ".join(["%s"] * len(values))


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
    whole = [at for at, field in enumerate(columns) if _is_whole(field)]
    for pk, *values in compiler.apply_converters(rows, converters) if converters else rows:
        for at in whole:
            # MariaDB's UNION makes decimals of them.
            values[at] = None if values[at] is None else int(values[at])
        yield member_of(model, pk), dict(zip(names, values, strict=True))


def _is_whole(field: Any) -> bool:
    target = fields.target(field)
    return fields.is_plain(field) and target.get_internal_type().endswith("IntegerField")
